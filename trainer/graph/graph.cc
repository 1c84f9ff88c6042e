#include "trainer/graph/graph.h"

#include "trainer/graph/op_table.h"

namespace lockstep::graph {

ValueId Graph::Find(std::string_view name) const {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].name == name) return static_cast<ValueId>(i);
  }
  return kNoValue;
}

const char* Name(OpKind kind) { return Row(kind).name; }

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

}  // namespace lockstep::graph
