#include "trainer/onnx/export/view_steps.h"

#include <algorithm>
#include <cstdlib>

#include "trainer/graph/strided.h"

namespace lockstep::onnx {

std::optional<ViewSteps> StepsOf(const graph::StridedAttributes& view, const Shape& x) {
  const auto strides = graph::StridesOf(x);
  ViewSteps steps;
  int64_t offset = view.offset;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const int64_t stride = strides[static_cast<size_t>(axis)];
    steps.slices.push_back({.begin = offset / stride});
    offset %= stride;
  }
  // An element's place is a number whose digits are its indices: a stride is a multiple of one digit's unit.
  std::vector<bool> used(static_cast<size_t>(x.rank()));
  for (int i = 0; i < view.shape.rank(); ++i) {
    const int64_t stride = view.strides[static_cast<size_t>(i)];
    int found = ViewSteps::kNew;
    for (int axis = 0; axis < x.rank() && stride != 0 && view.shape[i] > 1; ++axis) {
      const int64_t unit = strides[static_cast<size_t>(axis)];
      if (unit <= std::abs(stride) && std::abs(stride) < unit * x[axis]) found = axis;
    }
    steps.order.push_back(found);
    if (found == ViewSteps::kNew) {
      if (stride != 0 && view.shape[i] > 1) return std::nullopt;
      continue;
    }
    const auto at = static_cast<size_t>(found);
    ViewSteps::Slice& slice = steps.slices[at];
    slice.step = stride / strides[at];
    slice.count = view.shape[i];
    const int64_t last = slice.begin + (slice.count - 1) * slice.step;
    if (used[at] || stride % strides[at] != 0 || last < 0 || last >= x[found]) return std::nullopt;
    used[at] = true;
  }
  // Dimensions of size 1 are one another's.
  size_t next = 0;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (used[static_cast<size_t>(axis)]) continue;
    while (next < steps.order.size() &&
           (steps.order[next] != ViewSteps::kNew || view.shape[static_cast<int>(next)] > 1))
      ++next;
    if (next < steps.order.size())
      steps.order[next] = axis;
    else
      steps.dropped.push_back(axis);
  }
  return steps;
}

}  // namespace lockstep::onnx
