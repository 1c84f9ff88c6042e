// NumPy's arrays as samples: a row of each array is one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/formats/field_arrays.h"
#include "data/memory_dataset.h"

namespace lockstep::data {

/// Those that samples are made of: `inputs` or fields that are inputs, at least one. There are no more labels and
/// targets than one of both.
struct ArraySet {
  std::optional<NamedArray> inputs = std::nullopt, labels = std::nullopt, targets = std::nullopt;
  std::vector<FieldArray> fields = {};
};

struct ArrayOptions {
  int classes = 0;                            ///< of labels that are integers; 0: the largest + 1
  std::vector<std::string> class_names = {};  ///< of labels that are words; empty: those of the array, sorted
  /// Where given, it is told of each sample that can't be read, which is left out.
  std::function<void(const Error&)> on_broken = nullptr;
};

/// "features" f32 [n] of inputs [samples, n]; "image" [height, width, channels] of [samples, height, width] or
/// [samples, height, width, channels], u8 where they are unsigned bytes, otherwise f32; then fields of names of their
/// own that are inputs (field_arrays.h); "label" i32 [] or "target" f32 [k]; fields that are answers. Throws
/// Error(kData) where shapes or types don't fit, or a number is not finite as f32.
Records ReadArrays(ArraySet arrays, const ArrayOptions& options);

}  // namespace lockstep::data
