// A small convolutional network for the engine's tests.
#pragma once

#include "trainer/graph/builder.h"

namespace lockstep::engine {

inline graph::Graph SmallModel(graph::Mode mode, int64_t batch = 4) {
  graph::Builder b(mode, batch);
  graph::ValueId x = b.Input("image", {4, 4, 3}, DType::kF32);
  x = b.Conv2d(x, "conv", {5, 3, 1, 1, 1, false, {}});
  x = b.Activate(b.BatchNorm(x, "bn", 1e-5f, 0.1f, 1), graph::Activation::kRelu);
  x = b.GlobalAveragePool(x);
  x = b.Activate(b.Linear(x, "fc1", 2000, true, {}), graph::Activation::kTanh);
  x = b.Linear(x, "fc2", 10, true, {});
  b.SoftmaxCrossEntropy(x, 0);
  b.Output("logits", x);
  return b.Finish();
}

}  // namespace lockstep::engine
