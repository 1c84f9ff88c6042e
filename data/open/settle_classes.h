// How many classes there are, and whether the samples bear it out.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "data/memory_dataset.h"

namespace lockstep::data {

struct ClassOptions {
  int classes = 0;        ///< 0: as many as labels make
  bool training = false;  ///< the samples are trained on
  std::function<void(const Error&)> on_broken = nullptr;
};

/// Sets records.classes to options.classes, where that says how many there are; a label that is no class then is an
/// Error(kData), thrown or, where options.on_broken is given, told. Classes with names are
/// as many as these. Otherwise, of training data, warns of classes
/// without a sample: one wrong label makes many of them. `path`: of the Source ("data.train").
void SettleClasses(const ClassOptions& options, const std::string& path, Records& records);

}  // namespace lockstep::data
