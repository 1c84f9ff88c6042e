#include "trainer/graph/ops.h"

#include <fmt/format.h>

namespace lockstep::graph {

const char* Name(Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return "none";
    case Activation::kRelu:
      return "relu";
    case Activation::kGelu:
      return "gelu";
    case Activation::kSilu:
      return "silu";
    case Activation::kTanh:
      return "tanh";
    case Activation::kSigmoid:
      return "sigmoid";
    case Activation::kGeluTanh:
      return "gelu_tanh";
  }
  return "?";
}

std::string ToString(const Pair& pair) {
  return pair.height == pair.width ? fmt::format("{}", pair.height) : fmt::format("{}x{}", pair.height, pair.width);
}

}  // namespace lockstep::graph
