#include "trainer/onnx/export/view_steps.h"

#include <gtest/gtest.h>

#include "trainer/graph/strided.h"

namespace lockstep::onnx {
namespace {

using graph::StridedAttributes;

/// Index `i` of a row-major tensor, by dimension.
std::vector<int64_t> Indices(const Shape& shape, int64_t i) {
  std::vector<int64_t> indices(static_cast<size_t>(shape.rank()));
  for (int d = shape.rank() - 1; d >= 0; --d) {
    indices[static_cast<size_t>(d)] = i % shape[d];
    i /= shape[d];
  }
  return indices;
}

/// Where the steps find element `i` of y in x, which must be where the view reads it.
void ExpectSame(const StridedAttributes& view, const Shape& x) {
  const std::optional<ViewSteps> steps = StepsOf(view, x);
  ASSERT_TRUE(steps) << view.shape.ToString() << " of " << x.ToString();
  const auto strides = graph::StridesOf(x);
  for (int64_t i = 0; i < view.shape.size(); ++i) {
    const std::vector<int64_t> at = Indices(view.shape, i);
    int64_t expected = view.offset, found = 0;
    for (size_t d = 0; d < at.size(); ++d) expected += at[d] * view.strides[d];
    for (size_t axis = 0; axis < steps->slices.size(); ++axis) found += steps->slices[axis].begin * strides[axis];
    for (size_t d = 0; d < at.size(); ++d) {
      if (steps->order[d] == ViewSteps::kNew) continue;
      const auto axis = static_cast<size_t>(steps->order[d]);
      found += at[d] * steps->slices[axis].step * strides[axis];
    }
    ASSERT_EQ(found, expected) << i;
  }
}

TEST(StepsOf, Transpositions) {
  const Shape x{2, 3, 1, 4};
  for (const std::vector<int>& order : {std::vector{0, 3, 1, 2}, {3, 2, 1, 0}, {0, 1, 2, 3}, {2, 0, 1, 3}}) {
    const StridedAttributes view = graph::Transposed(x, order);
    ExpectSame(view, x);
    EXPECT_TRUE(StepsOf(view, x)->dropped.empty());
  }
  EXPECT_EQ(StepsOf(graph::Transposed({2, 3, 4}, std::vector{1, 0, 2}), {2, 3, 4})->order, (std::vector{1, 0, 2}));
}

TEST(StepsOf, SlicesForwardsAndBackwards) {
  const Shape x{5, 7, 3};
  ExpectSame(graph::Sliced(x, 1, 2, 2, 3), x);
  ExpectSame(graph::Sliced(x, 1, 6, -1, 7), x);
  ExpectSame(graph::Sliced(x, 0, 4, -2, 2), x);
  ExpectSame(graph::Sliced(x, 2, 1, 1, 1), x);
}

TEST(StepsOf, Expansions) {
  const Shape x{3, 1};
  ExpectSame(graph::Expanded(x, {2, 3, 4}), x);
  EXPECT_TRUE(StepsOf(graph::Expanded(x, {2, 3, 4}), x)->Expands({2, 3, 4}));
  ExpectSame(graph::Expanded({1, 4}, {3, 4}), {1, 4});
}

TEST(StepsOf, OneBehindTheOther) {
  const Shape x{4, 6, 5};
  const StridedAttributes slice = graph::Sliced(x, 1, 4, -2, 2);
  const StridedAttributes both = *graph::Composed(slice, graph::Transposed(slice.shape, std::vector{2, 0, 1}));
  ExpectSame(both, x);
  ExpectSame(*graph::Composed(graph::Sliced(x, 0, 3, 1, 1), graph::Expanded({1, 6, 5}, {7, 6, 5})), x);
}

TEST(StepsOf, OtherViewsAreNone) {
  EXPECT_FALSE(StepsOf({.shape = {3}, .strides = {4}}, {3, 3}));     // a diagonal
  EXPECT_FALSE(StepsOf({.shape = {4, 3}, .strides = {1, 1}}, {6}));  // windows
  EXPECT_FALSE(StepsOf({.shape = {3, 2}, .strides = {1, 3}}, {6}));  // a dimension cut in two
  EXPECT_FALSE(StepsOf({.shape = {6}, .strides = {1}}, {2, 3}));     // two dimensions as one
}

}  // namespace
}  // namespace lockstep::onnx
