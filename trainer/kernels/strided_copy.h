// A copy from one strided layout to another (OpKind::kStrided and its gradient) with as few dimensions as it can have:
// those of size 1 are gone, those that lie as one in both layouts are one, and the last is where neighbours are
// written.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/shape.h"
#include "trainer/graph/strided.h"

namespace lockstep::kernels {

struct CopyDimension {
  int64_t size = 1, from = 0, to = 0;  ///< elements, and what lies between neighbours in either layout
};

struct StridedCopy {
  int count = 0;
  CopyDimension dims[Shape::kMaxRank];
  int64_t from_offset = 0, to_offset = 0;

  int64_t size() const {
    int64_t all = 1;
    for (int d = 0; d < count; ++d) all *= dims[d].size;
    return all;
  }
  /// From x to the view of it, which is written without gaps.
  static StridedCopy FromView(const graph::StridedAttributes& view);
  /// From a tensor of the view's shape to where the view lies in x.
  static StridedCopy ToView(const graph::StridedAttributes& view);

 private:
  void Simplify();
};

inline void StridedCopy::Simplify() {
  std::stable_sort(dims, dims + count,
                   [](const CopyDimension& a, const CopyDimension& b) { return std::abs(a.to) > std::abs(b.to); });
  int kept = 0;
  for (int d = 0; d < count; ++d) {
    const CopyDimension dim = dims[d];
    if (dim.size == 1) continue;
    CopyDimension& outer = dims[kept > 0 ? kept - 1 : 0];
    if (kept > 0 && outer.from == dim.from * dim.size && outer.to == dim.to * dim.size) {
      outer = {outer.size * dim.size, dim.from, dim.to};
    } else {
      dims[kept++] = dim;
    }
  }
  count = kept;
}

inline StridedCopy StridedCopy::FromView(const graph::StridedAttributes& view) {
  StridedCopy copy;
  copy.count = view.shape.rank();
  const auto to = graph::StridesOf(view.shape);
  for (int d = 0; d < copy.count; ++d) {
    const auto i = static_cast<size_t>(d);
    copy.dims[d] = {view.shape.dim(d), view.strides[i], to[i]};
  }
  copy.from_offset = view.offset;
  copy.Simplify();
  return copy;
}

inline StridedCopy StridedCopy::ToView(const graph::StridedAttributes& view) {
  StridedCopy copy;
  copy.count = view.shape.rank();
  const auto from = graph::StridesOf(view.shape);
  for (int d = 0; d < copy.count; ++d) {
    const auto i = static_cast<size_t>(d);
    copy.dims[d] = {view.shape.dim(d), from[i], view.strides[i]};
  }
  copy.to_offset = view.offset;
  copy.Simplify();
  return copy;
}

}  // namespace lockstep::kernels
