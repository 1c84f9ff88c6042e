// Equations of Einsum, "bhqd,bhkd->bhqk", as the standard and NumPy have them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trainer/onnx/tensor.h"

namespace lockstep::onnx {

struct EinsumTerms {
  /// Of each operand, of each of its dimensions, a letter; dimensions of "..." are negative numbers.
  std::vector<std::vector<int>> inputs;
  std::vector<int> output;
  std::map<int, int64_t> sizes;
};

/// Throws Unsupported for equations that don't fit the operands.
EinsumTerms ParseEinsum(const std::string& equation, const std::vector<Dims>& shapes);

}  // namespace lockstep::onnx
