// Whether what is evaluated has the classes of what is trained on.
#pragma once

#include <string>

#include "data/dataset.h"

namespace lockstep::data {

/// Warns where one of the two has classes that the other lacks, or where they have them in very different shares: files
/// that are sorted by class make such parts. Up to a million samples are looked at. `path`: of `other` ("data.test").
void WarnOfClassShares(const Dataset& train, const Dataset& other, const std::string& path);

}  // namespace lockstep::data
