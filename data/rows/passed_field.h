// How fields that are no picture get from samples into a batch: as they are, numbers of names that the recipe gives as
// floats times their scale.
#pragma once

#include <cstddef>

#include "data/dataset.h"

namespace lockstep::data {

/// What `field` of a sample is in a batch.
Field PassedField(const Field& field);
/// Writes a sample's values of `field` to `row`, as PassedField says.
void PassValues(const Sample::Tensor& tensor, const Field& field, std::byte* row);

}  // namespace lockstep::data
