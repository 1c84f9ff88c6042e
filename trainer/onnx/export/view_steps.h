// What a strided view (OpKind::kStrided) is made of: slices, a transposition, dimensions of size 1 that come and go,
// and an expansion.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "trainer/graph/tensor_attributes.h"

namespace lockstep::onnx {

struct ViewSteps {
  /// Of x, by dimension: elements begin, begin + step, .., `count` of them.
  struct Slice {
    int64_t begin = 0, step = 1, count = 1;
  };
  static constexpr int kNew = -1;

  std::vector<Slice> slices;
  std::vector<int> order;    ///< by dimension of y: the dimension of x that it is, or kNew
  std::vector<int> dropped;  ///< dimensions of x, of size 1 after slicing, that y has not

  bool Expands(const Shape& y) const {
    for (int i = 0; i < y.rank(); ++i)
      if (order[static_cast<size_t>(i)] == kNew && y[i] > 1) return true;
    return false;
  }
};

/// None where the view is something else: a diagonal, windows, or a dimension cut in two.
std::optional<ViewSteps> StepsOf(const graph::StridedAttributes& view, const Shape& x);

}  // namespace lockstep::onnx
