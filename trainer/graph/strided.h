// Views of a tensor that OpKind::kStrided copies: transposes, broadcasts, slices and what they come to one behind the
// other. x is row-major and without gaps, as all values are.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trainer/graph/tensor_attributes.h"

namespace lockstep::graph {

/// Elements of a row-major tensor from one place to the next, by dimension.
std::array<int64_t, Shape::kMaxRank> StridesOf(const Shape& shape);

/// Dimension d of y is dimension order[d] of x. REQUIRES: order is a permutation of x's dimensions.
StridedAttributes Transposed(const Shape& x, std::span<const int> order);
/// x, whose dimensions are aligned at the end and of size 1 where they differ, repeated to `to` (numpy's broadcast_to).
/// REQUIRES: it fits.
StridedAttributes Expanded(const Shape& x, const Shape& to);
/// Elements begin, begin + step, .. of a dimension, `count` of them; step may be negative. REQUIRES: they lie in x.
StridedAttributes Sliced(const Shape& x, int axis, int64_t begin, int64_t step, int64_t count);

/// The order of which the view is a transpose of x; none where it is something else.
std::optional<std::vector<int>> AsTranspose(const StridedAttributes& view, const Shape& x);

/// `second` of what `first` makes, as one view of first's operand; none where it is not one, or not seen to be.
std::optional<StridedAttributes> Composed(const StridedAttributes& first, const StridedAttributes& second);

/// What is wrong with a view of x: that it leaves it, or reads an element twice by strides other than 0. "": nothing.
std::string ViewProblem(const StridedAttributes& view, const Shape& x);

}  // namespace lockstep::graph
