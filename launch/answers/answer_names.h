// What the outputs of a model of rows or pictures are called.
#pragma once

#include <string>
#include <vector>

#include "data/data.pb.h"
#include "trainer/models/models.h"

namespace lockstep::launch {

/// Names of the classes; their numbers where they have none.
std::vector<std::string> ClassNamesOf(const data::DataConfig& data, const models::DataShape& shape);
/// Names of the targets: of a table its columns'.
std::vector<std::string> TargetNamesOf(const data::DataConfig& data, const models::DataShape& shape);

}  // namespace lockstep::launch
