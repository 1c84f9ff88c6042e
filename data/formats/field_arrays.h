// Arrays of names that the recipe gives them: further inputs of a model, and what it is to learn.
#pragma once

#include <string>

#include "data/formats/array_samples.h"

namespace lockstep::data {

struct FieldArray {
  enum class Role { kNumbers, kIds, kTarget, kLabel };

  std::string name;
  Role role = Role::kNumbers;
  NamedArray array;
  int classes = 0;  ///< of ids and labels; 0: the largest + 1
  float scale = 1;  ///< of numbers and targets
};

/// The column `name`: numbers and targets f32 (of unsigned bytes u8, which are floats in a batch), ids and labels i32;
/// a sample's shape is the array's behind its first dimension, of numbers [n] it is [1]. `first`: the array that says
/// how many samples there are. A value that is not finite, or no id or class, leaves its sample out. Throws
/// Error(kData) where shape or type don't fit.
Column ReadFieldArray(FieldArray field, const Origin& first, KeptSamples& kept);

}  // namespace lockstep::data
