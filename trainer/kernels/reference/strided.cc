// Views, padding and lookup by a constant index: exact, but for what is added up in gradients.
#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

/// Calls visit(places) for each element of `shape`, row-major, with its place along each dimension.
template <typename Visit>
void ForEachPlace(const Shape& shape, Visit visit) {
  std::vector<int64_t> places(static_cast<size_t>(shape.rank()));
  for (int64_t i = 0; i < shape.size(); ++i) {
    int64_t rest = i;
    for (int d = shape.rank() - 1; d >= 0; --d) {
      places[static_cast<size_t>(d)] = rest % shape.dim(d);
      rest /= shape.dim(d);
    }
    visit(static_cast<size_t>(i), places);
  }
}

/// Of an element of x, row-major; -1: outside.
int64_t IndexOf(const Shape& x, const std::vector<int64_t>& places) {
  int64_t index = 0;
  for (int d = 0; d < x.rank(); ++d) {
    const int64_t place = places[static_cast<size_t>(d)];
    if (place < 0 || place >= x.dim(d)) return -1;
    index = index * x.dim(d) + place;
  }
  return index;
}

size_t ElementOf(const graph::StridedAttributes& view, const std::vector<int64_t>& places) {
  int64_t at = view.offset;
  for (size_t d = 0; d < places.size(); ++d) at += places[d] * view.strides[d];
  return static_cast<size_t>(at);
}

std::vector<Tensor> Strided(const Call& call) {
  const auto& view = call.op.as<graph::StridedAttributes>();
  Tensor y = Zeros(view.shape, 1);
  ForEachPlace(view.shape, [&](size_t i, const auto& places) { y.data[i] = call.in(0).data[ElementOf(view, places)]; });
  return {y};
}

std::vector<Tensor> StridedGrad(const Call& call) {
  const auto& view = call.op.as<graph::StridedAttributes>();
  Tensor dx = Zeros(view.result, 1);
  ForEachPlace(view.shape,
               [&](size_t i, const auto& places) { dx.data[ElementOf(view, places)] = call.in(0).data[i]; });
  return {dx};
}

std::vector<Tensor> Pad(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& pad = call.op.as<graph::PadAttributes>();
  std::vector<int64_t> dims;
  for (int d = 0; d < x.shape.rank(); ++d) {
    dims.push_back(pad.before[static_cast<size_t>(d)] + x.shape.dim(d) + pad.after[static_cast<size_t>(d)]);
  }
  Tensor y = Zeros(Shape(std::span<const int64_t>(dims)), 1);
  ForEachPlace(y.shape, [&](size_t i, std::vector<int64_t> places) {
    for (size_t d = 0; d < places.size(); ++d) places[d] -= pad.before[d];
    const int64_t from = IndexOf(x.shape, places);
    y.data[i] = from < 0 ? static_cast<double>(pad.value) : x.data[static_cast<size_t>(from)];
  });
  return {y};
}

Shape Gathered(const graph::GatherAttributes& gather, const Shape& x) {
  std::vector<int64_t> dims(x.dims().begin(), x.dims().end());
  dims[static_cast<size_t>(gather.axis)] = static_cast<int64_t>(gather.index->size());
  return Shape(std::span<const int64_t>(dims));
}

/// Calls visit(i_y, i_x) for each element of y and the one of x that it is.
template <typename Visit>
void ForEachGathered(const graph::GatherAttributes& gather, const Shape& x, Visit visit) {
  ForEachPlace(Gathered(gather, x), [&](size_t i, std::vector<int64_t> places) {
    int64_t& place = places[static_cast<size_t>(gather.axis)];
    place = gather.index->at(static_cast<size_t>(place));
    visit(i, static_cast<size_t>(IndexOf(x, places)));
  });
}

std::vector<Tensor> Gather(const Call& call) {
  const auto& gather = call.op.as<graph::GatherAttributes>();
  Tensor y = Zeros(Gathered(gather, call.in(0).shape), 1);
  ForEachGathered(gather, call.in(0).shape, [&](size_t i_y, size_t i_x) { y.data[i_y] = call.in(0).data[i_x]; });
  return {y};
}

std::vector<Tensor> GatherGrad(const Call& call) {
  const auto& gather = call.op.as<graph::GatherAttributes>();
  Tensor dx = Zeros(gather.result, static_cast<int64_t>(gather.index->size()));
  ForEachGathered(gather, gather.result, [&](size_t i_y, size_t i_x) { Add(dx, i_x, call.in(0).data[i_y]); });
  return {dx};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kStrided, .run = Strided},
    {.kind = OpKind::kStridedGrad, .run = StridedGrad},
    {.kind = OpKind::kPad, .run = Pad},
    {.kind = OpKind::kGather, .run = Gather},
    {.kind = OpKind::kGatherGrad, .run = GatherGrad},
};

}  // namespace

std::span<const OpFunction> StridedRows() { return kRows; }

}  // namespace lockstep::reference
