// How a reduction (OpKind::kReduce) goes through its operand, and what it folds: shared by all backends but the
// reference. Dimensions of one kind that follow each other are one, so that [32, 64, 56, 56] over 2 and 3 is [2048,
// 3136] over 1.
#pragma once

#include <cstdint>
#include <limits>

#include "base/host_device.h"
#include "base/shape.h"
#include "trainer/graph/tensor_attributes.h"

namespace lockstep::kernels {

/// Some dimensions of a tensor, outermost first: the element of index i, row-major over them, lies at At(i).
struct Places {
  int count = 0;
  int64_t size[Shape::kMaxRank] = {}, stride[Shape::kMaxRank] = {};

  void Append(int64_t new_size, int64_t new_stride) { size[count] = new_size, stride[count++] = new_stride; }
  int64_t Size() const {
    int64_t all = 1;
    for (int d = 0; d < count; ++d) all *= size[d];
    return all;
  }
  LOCKSTEP_HD int64_t At(int64_t i) const {
    int64_t at = 0;
    for (int d = count - 1; d > 0; --d) {
      // In 32 bits where they suffice, which a GPU does several times as fast.
      const bool small = ((i | size[d]) >> 32) == 0;
      const int64_t next = small ? static_cast<uint32_t>(i) / static_cast<uint32_t>(size[d]) : i / size[d];
      at += (i - next * size[d]) * stride[d];
      i = next;
    }
    return count > 0 ? at + i * stride[0] : 0;
  }
};

/// Element (o, r, c) of x lies at kept.At(o) + reduced.At(r) + c, and goes into element o * columns + c of y.
struct Reduction {
  Places kept, reduced;
  int64_t columns = 1;  ///< innermost elements that are kept; 1: the innermost are reduced, or there are none
  int64_t run = 1;      ///< innermost elements that are reduced, the last of `reduced`; 1: the innermost are kept
  int64_t outer = 1, terms = 1;  ///< how many o there are, and r
  Places elements;               ///< every dimension of x, and what a step along it is in y: 0 where it is reduced

  Reduction(const Shape& x, uint32_t axes);
  int64_t outputs() const { return outer * columns; }
};

inline Reduction::Reduction(const Shape& x, uint32_t axes) {
  int64_t size[Shape::kMaxRank];
  bool reduces[Shape::kMaxRank];
  int count = 0;
  for (int d = 0; d < x.rank(); ++d) {
    if (x.dim(d) == 1) continue;
    const bool reduced_here = (axes >> d & 1) != 0;
    if (count > 0 && reduces[count - 1] == reduced_here) {
      size[count - 1] *= x.dim(d);
    } else {
      size[count] = x.dim(d), reduces[count++] = reduced_here;
    }
  }
  if (count > 0 && reduces[count - 1]) run = size[count - 1];
  if (count > 0 && !reduces[count - 1]) columns = size[count - 1];
  int64_t x_stride = x.size(), y_stride = 1;
  for (int d = 0; d < count; ++d) y_stride *= reduces[d] ? 1 : size[d];
  for (int d = 0; d < count; ++d) {
    x_stride /= size[d];
    y_stride /= reduces[d] ? 1 : size[d];
    elements.Append(size[d], reduces[d] ? 0 : y_stride);
    if (reduces[d]) reduced.Append(size[d], x_stride);
    if (!reduces[d] && d < count - 1) kept.Append(size[d], x_stride);
  }
  outer = kept.Size();
  terms = reduced.Size();
}

// What is folded: Fold(kStart, Element(x, y)) and so on, with y the result where the function asks for it. V: float,
// double, or a vector of floats. Not-a-number comes through.

struct SumOf {
  static constexpr float kStart = 0;
  template <typename V>
  static LOCKSTEP_HD V Element(V x, V /*y*/) {
    return x;
  }
  template <typename V>
  static LOCKSTEP_HD V Fold(V a, V b) {
    return a + b;
  }
};
struct MaxOf {
  static constexpr float kStart = -std::numeric_limits<float>::infinity();
  template <typename V>
  static LOCKSTEP_HD V Element(V x, V /*y*/) {
    return x;
  }
  template <typename V>
  static LOCKSTEP_HD V Fold(V a, V b) {
    return a >= b ? a : (a != a ? a : b);
  }
};
struct MinOf {
  static constexpr float kStart = std::numeric_limits<float>::infinity();
  template <typename V>
  static LOCKSTEP_HD V Element(V x, V /*y*/) {
    return x;
  }
  template <typename V>
  static LOCKSTEP_HD V Fold(V a, V b) {
    return a <= b ? a : (a != a ? a : b);
  }
};
struct ProductOf {
  static constexpr float kStart = 1;
  template <typename V>
  static LOCKSTEP_HD V Element(V x, V /*y*/) {
    return x;
  }
  template <typename V>
  static LOCKSTEP_HD V Fold(V a, V b) {
    return a * b;
  }
};
/// How many elements are y: the ties of a maximum.
struct EqualsOf : SumOf {
  template <typename V>
  static LOCKSTEP_HD V Element(V x, V y) {
    return x == y ? V{} + 1.0f : V{};
  }
};
struct ZerosOf : SumOf {
  template <typename V>
  static LOCKSTEP_HD V Element(V x, V /*y*/) {
    return x == V{} ? V{} + 1.0f : V{};
  }
};
/// The product of what is not 0.
struct NonzerosOf : ProductOf {
  template <typename V>
  static LOCKSTEP_HD V Element(V x, V /*y*/) {
    return x == V{} ? V{} + 1.0f : x;
  }
};

/// Calls run(F{}) with what `function` folds.
template <typename Run>
auto WithFunction(graph::ReduceFunction function, Run&& run) {
  switch (function) {
    case graph::ReduceFunction::kMax:
      return run(MaxOf{});
    case graph::ReduceFunction::kMin:
      return run(MinOf{});
    case graph::ReduceFunction::kProduct:
      return run(ProductOf{});
    default:
      return run(SumOf{});
  }
}

/// What one element's gradient is made of.
struct ReducedElement {
  float dy, x, y;
  float count;    ///< max, min: of ties; product: of zeros
  float product;  ///< product: of what is not 0
};

/// The gradient of one element. `factor`: of a sum, 1; of a mean, 1 / n.
LOCKSTEP_HD float ReducedElementGrad(graph::ReduceFunction function, float factor, const ReducedElement& e) {
  switch (function) {
    case graph::ReduceFunction::kMax:
    case graph::ReduceFunction::kMin:
      return e.x == e.y ? e.dy / e.count : 0.0f;
    case graph::ReduceFunction::kProduct:
      if (e.count == 0) return e.dy * (e.product / e.x);
      return e.count == 1 && e.x == 0 ? e.dy * e.product : 0.0f;
    default:
      return e.dy * factor;
  }
}

}  // namespace lockstep::kernels
