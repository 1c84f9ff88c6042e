// Graphs of all shapes, for properties that hold for each.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <random>
#include <vector>

#include "trainer/graph/builder.h"

namespace lockstep::passes {

/// A random graph of all kinds of layers, with values that are read several times, reshapes of reshapes, and dead ends.
inline graph::Graph RandomGraph(uint32_t seed) {
  std::mt19937 random(seed);
  const auto pick = [&](size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random); };
  graph::Builder b(graph::Mode::kTrain, 4);
  std::vector<graph::ValueId> rows = {b.Input("features", {12}, DType::kF32)};
  const size_t ops = 3 + pick(25);
  for (size_t i = 0; i < ops; ++i) {
    const graph::ValueId x = rows[pick(rows.size())];
    const std::string name = fmt::format("layer{}", i);
    const Shape flat{4, b.shape(x).size() / 4};
    switch (pick(8)) {
      case 0:
        rows.push_back(b.Linear(x, name, static_cast<int64_t>(1 + pick(40)), pick(2) == 0, {}));
        break;
      case 1:
        rows.push_back(b.Activate(x, static_cast<graph::Activation>(1 + pick(5))));
        break;
      case 2:
        rows.push_back(b.BatchNorm(x, name, 1e-5f, 0.1f, 1));
        break;
      case 3:
        rows.push_back(b.LayerNorm(x, name, 1e-5f));
        break;
      case 4:
        rows.push_back(b.Dropout(x, 0.5f));
        break;
      case 5:
        rows.push_back(b.Add(b.Linear(x, name, b.shape(x).dim(-1), true, {}), x));
        break;
      case 6: {
        const graph::ValueId image = b.Reshape(x, {4, 1, 1, flat.dim(1)});
        rows.push_back(b.Flatten(b.MaxPool2d(b.Conv2d(image, name, {6, 1, 1, 0, 1, true, {}}), 1, 1, 0)));
        break;
      }
      default:
        rows.push_back(b.Reshape(b.Reshape(x, {b.shape(x).size()}), flat));
    }
  }
  b.SoftmaxCrossEntropy(rows.back(), 0);
  if (pick(2) == 0) b.Output("extra", rows[pick(rows.size() - 1) + 1]);
  return b.Finish();
}

}  // namespace lockstep::passes
