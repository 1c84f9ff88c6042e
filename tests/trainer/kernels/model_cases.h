// Small models that gradients are tried on, by op.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "trainer/graph/builder.h"

namespace lockstep {

/// A model over an image [4, 6, 6, 4]. A convolution stands before what is tried, so that its input has a gradient too.
struct ModelCase {
  std::string name;
  graph::OpKind kind;  ///< that it tries
  /// From the image to another or to [4, k].
  std::function<graph::ValueId(graph::Builder&, graph::ValueId)> layers;
};

/// Of ops over tensors of any rank (tensor_model_cases.cc).
std::vector<ModelCase> TensorModelCases();

}  // namespace lockstep
