#include "trainer/graph/strided.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace lockstep::graph {
namespace {

size_t At(int dimension) { return static_cast<size_t>(dimension); }

/// Whether a dimension of the view moves through x at all.
bool Moves(const StridedAttributes& view, int d) { return view.shape.dim(d) > 1 && view.strides[At(d)] != 0; }

}  // namespace

std::array<int64_t, Shape::kMaxRank> StridesOf(const Shape& shape) {
  std::array<int64_t, Shape::kMaxRank> strides{};
  int64_t stride = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    strides[At(d)] = stride;
    stride *= shape.dim(d);
  }
  return strides;
}

StridedAttributes Transposed(const Shape& x, std::span<const int> order) {
  CHECK(static_cast<int>(order.size()) == x.rank(), "{} dimensions of {}", order.size(), x.ToString());
  const auto strides = StridesOf(x);
  StridedAttributes view;
  std::vector<int64_t> dims;
  for (size_t d = 0; d < order.size(); ++d) {
    dims.push_back(x.dim(order[d]));
    view.strides[d] = strides[At(order[d])];
  }
  view.shape = Shape(std::span<const int64_t>(dims));
  return view;
}

StridedAttributes Expanded(const Shape& x, const Shape& to) {
  const auto strides = StridesOf(x);
  const int added = to.rank() - x.rank();
  CHECK(added >= 0, "{} can't become {}", x.ToString(), to.ToString());
  StridedAttributes view{.shape = to};
  for (int d = 0; d < x.rank(); ++d) {
    const int64_t size = to.dim(d + added);
    CHECK(x.dim(d) == size || x.dim(d) == 1, "{} can't become {}", x.ToString(), to.ToString());
    if (x.dim(d) == size) view.strides[At(d + added)] = strides[At(d)];
  }
  return view;
}

StridedAttributes Sliced(const Shape& x, int axis, int64_t begin, int64_t step, int64_t count) {
  std::vector<int64_t> dims(x.dims().begin(), x.dims().end());
  dims[At(axis)] = count;
  StridedAttributes view{.shape = Shape(std::span<const int64_t>(dims)), .strides = StridesOf(x)};
  view.offset = begin * view.strides[At(axis)];
  view.strides[At(axis)] *= step;
  return view;
}

std::optional<std::vector<int>> AsTranspose(const StridedAttributes& view, const Shape& x) {
  if (view.shape.rank() != x.rank() || view.shape.size() != x.size() || view.offset != 0) return {};
  const auto strides = StridesOf(x);
  std::vector<int> order(At(x.rank()), -1);
  std::vector<bool> taken(At(x.rank()), false);
  // Dimensions of size 1 have no stride that counts: where it is that of one of x's, it says which one was meant.
  for (const bool exactly : {true, false}) {
    for (int d = 0; d < x.rank(); ++d) {
      for (int from = 0; from < x.rank() && order[At(d)] < 0; ++from) {
        const bool same = x.dim(from) == view.shape.dim(d) && view.strides[At(d)] == strides[At(from)];
        const bool single = !exactly && x.dim(from) == 1 && view.shape.dim(d) == 1;
        if (taken[At(from)] || !(same || single)) continue;
        order[At(d)] = from;
        taken[At(from)] = true;
      }
    }
  }
  if (std::ranges::find(order, -1) != order.end()) return {};
  return order;
}

std::optional<StridedAttributes> Composed(const StridedAttributes& first, const StridedAttributes& second) {
  const Shape& middle = first.shape;
  const auto strides = StridesOf(middle);
  StridedAttributes view{.shape = second.shape};
  std::array<int64_t, Shape::kMaxRank> least{}, most{};
  int64_t rest = second.offset;
  for (int e = 0; e < middle.rank(); ++e) {
    least[At(e)] = most[At(e)] = rest / strides[At(e)];
    rest %= strides[At(e)];
    view.offset += least[At(e)] * first.strides[At(e)];
  }
  view.offset += first.offset;
  for (int d = 0; d < second.shape.rank(); ++d) {
    if (!Moves(second, d)) continue;
    // The outermost dimension that the stride is a multiple of.
    int e = 0;
    while (e < middle.rank() && (middle.dim(e) == 1 || second.strides[At(d)] % strides[At(e)] != 0)) ++e;
    if (e == middle.rank()) return {};
    const int64_t steps = second.strides[At(d)] / strides[At(e)], way = steps * (second.shape.dim(d) - 1);
    (way < 0 ? least : most)[At(e)] += way;
    view.strides[At(d)] = steps * first.strides[At(e)];
  }
  for (int e = 0; e < middle.rank(); ++e) {
    if (least[At(e)] < 0 || most[At(e)] >= middle.dim(e)) return {};
  }
  return view;
}

std::string ViewProblem(const StridedAttributes& view, const Shape& x) {
  int64_t least = view.offset, most = view.offset;
  std::vector<int> moving;
  for (int d = 0; d < view.shape.rank(); ++d) {
    if (view.shape.dim(d) < 1) return fmt::format("a view of shape {} is empty", view.shape.ToString());
    if (!Moves(view, d)) continue;
    moving.push_back(d);
    const int64_t way = view.strides[At(d)] * (view.shape.dim(d) - 1);
    (way < 0 ? least : most) += way;
  }
  if (least < 0 || most >= x.size()) {
    return fmt::format("a view of x {} reads elements {} to {}, but there are {}", x.ToString(), least, most, x.size());
  }
  std::ranges::sort(moving, {}, [&](int d) { return std::abs(view.strides[At(d)]); });
  int64_t reach = 0;
  for (const int d : moving) {
    const int64_t stride = std::abs(view.strides[At(d)]);
    if (stride <= reach) return fmt::format("a view of x {} reads elements twice", x.ToString());
    reach += stride * (view.shape.dim(d) - 1);
  }
  return "";
}

}  // namespace lockstep::graph
