// NumPy's arrays as samples: a row of each array is one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/formats/npy.h"
#include "data/memory_dataset.h"
#include "data/origin.h"

namespace lockstep::data {

/// An array, and where it came from.
struct NamedArray {
  NpyArray array;
  Origin origin;
};

struct ArrayOptions {
  int classes = 0;                            ///< of labels that are integers; 0: the largest + 1
  std::vector<std::string> class_names = {};  ///< of labels that are words; empty: those of the array, sorted
  /// Where given, it is told of each sample that can't be read, which is left out.
  std::function<void(const Error&)> on_broken = nullptr;
};

/// "features" f32 [n] of inputs [samples, n]; "image" [height, width, channels] of [samples, height, width] or
/// [samples, height, width, channels], u8 where they are unsigned bytes, otherwise f32; and "label" i32 [] or "target"
/// f32 [k], where `labels` or `targets` is not null. Throws Error(kData) where shapes or types don't fit, or a number
/// is not finite as f32.
Records ReadArrays(NamedArray inputs, const NamedArray* labels, const NamedArray* targets, const ArrayOptions& options);

}  // namespace lockstep::data
