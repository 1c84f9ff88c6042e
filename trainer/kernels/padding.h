// How padding (OpKind::kPad) goes through x and y: by rows, where dimensions behind the last that changes are one with
// it.
#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "base/shape.h"
#include "trainer/graph/tensor_attributes.h"

namespace lockstep::kernels {

struct PadPlan {
  int outer = 0;  ///< dimensions before the rows
  int64_t x_size[Shape::kMaxRank] = {}, y_size[Shape::kMaxRank] = {}, before[Shape::kMaxRank] = {};
  int64_t x_row = 1, y_row = 1, row_before = 0;  ///< elements
  int64_t rows = 1;                              ///< of y
  float value = 0;

  PadPlan(const Shape& x, const Shape& y, const graph::PadAttributes& pad) : value(pad.value) {
    int last = x.rank() - 1;
    int64_t inner = 1;
    for (; last > 0 && x.dim(last) == y.dim(last) && pad.before[static_cast<size_t>(last)] == 0; --last) {
      inner *= x.dim(last);
    }
    for (int d = 0; d < last; ++d) {
      x_size[d] = x.dim(d), y_size[d] = y.dim(d), before[d] = pad.before[static_cast<size_t>(d)];
      rows *= y.dim(d);
    }
    outer = last > 0 ? last : 0;
    if (last < 0) return;
    x_row = x.dim(last) * inner, y_row = y.dim(last) * inner;
    row_before = pad.before[static_cast<size_t>(last)] * inner;
  }

  /// The row of x that row `row` of y is of; -1: none.
  LOCKSTEP_HD int64_t RowOfX(int64_t row) const {
    int64_t at = 0, stride = 1;
    for (int d = outer - 1; d >= 0; --d) {
      const int64_t place = row % y_size[d] - before[d];
      if (place < 0 || place >= x_size[d]) return -1;
      at += place * stride;
      stride *= x_size[d];
      row /= y_size[d];
    }
    return at;
  }
};

}  // namespace lockstep::kernels
