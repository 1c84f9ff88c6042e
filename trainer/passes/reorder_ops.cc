#include "trainer/passes/reorder_ops.h"

#include <algorithm>

#include "trainer/graph/strided.h"

namespace lockstep::passes {
namespace {

using graph::OpKind;

size_t Index(int i) { return static_cast<size_t>(i); }

Reordered ReorderReduce(const graph::ReduceAttributes& old, const std::vector<int>& order) {
  graph::ReduceAttributes reduce = old;
  reduce.axes = 0;
  for (size_t d = 0; d < order.size(); ++d) {
    if ((old.axes >> d & 1) != 0) reduce.axes |= 1u << order[d];
  }
  if (old.keep) return {reduce, order};
  // The dimensions that stay are counted anew.
  std::vector<int> kept;
  for (size_t d = 0; d < order.size(); ++d) {
    if ((old.axes >> d & 1) != 0) continue;
    int place = 0;
    for (int before = 0; before < order[d]; ++before) place += (reduce.axes >> before & 1) == 0 ? 1 : 0;
    kept.push_back(place);
  }
  return {reduce, kept};
}

Reordered ReorderPad(const graph::PadAttributes& old, const std::vector<int>& order) {
  graph::PadAttributes pad{.value = old.value};
  for (size_t d = 0; d < order.size(); ++d) {
    pad.before[Index(order[d])] = old.before[d];
    pad.after[Index(order[d])] = old.after[d];
  }
  return {pad, order};
}

/// A view that takes some places of each dimension, and leaves their order.
std::optional<Reordered> ReorderSlice(const graph::StridedAttributes& old, const Shape& x,
                                      const std::vector<int>& order) {
  if (old.shape.rank() != x.rank()) return {};
  const auto strides = graph::StridesOf(x), new_strides = graph::StridesOf(ReorderedShape(x, order));
  graph::StridedAttributes slice{.shape = ReorderedShape(old.shape, order)};
  int64_t rest = old.offset;
  for (int d = 0; d < x.rank(); ++d) {
    const int64_t begin = rest / strides[Index(d)], count = old.shape.dim(d);
    rest %= strides[Index(d)];
    int64_t step = 0;
    if (count > 1) {
      if (old.strides[Index(d)] % strides[Index(d)] != 0) return {};
      step = old.strides[Index(d)] / strides[Index(d)];
      const int64_t last = begin + step * (count - 1);
      if (step == 0 || last < 0 || last >= x.dim(d)) return {};
    }
    const auto to = Index(order[Index(d)]);
    slice.offset += begin * new_strides[to];
    slice.strides[to] = (count > 1 ? step : 1) * new_strides[to];
  }
  return Reordered{slice, order};
}

}  // namespace

Shape ReorderedShape(const Shape& shape, const std::vector<int>& order) {
  std::vector<int64_t> dims(order.size());
  for (size_t d = 0; d < order.size(); ++d) dims[Index(order[d])] = shape.dim(static_cast<int>(d));
  return Shape(std::span<const int64_t>(dims));
}

std::optional<Reordered> Reorder(const graph::Graph& graph, const graph::Op& op, const std::vector<int>& order) {
  switch (op.kind) {
    case OpKind::kActivation:
    case OpKind::kAdd:
    case OpKind::kUnary:
    case OpKind::kBinary:
    case OpKind::kWhere:
    case OpKind::kCast:
      return Reordered{op.attributes, order};
    case OpKind::kReduce:
      return ReorderReduce(op.as<graph::ReduceAttributes>(), order);
    case OpKind::kPad:
      return ReorderPad(op.as<graph::PadAttributes>(), order);
    case OpKind::kConcat: {
      const int axis = op.as<graph::ConcatAttributes>().axis, rank = static_cast<int>(order.size());
      return Reordered{graph::ConcatAttributes{order[Index(axis < 0 ? axis + rank : axis)]}, order};
    }
    case OpKind::kStrided:
      return ReorderSlice(op.as<graph::StridedAttributes>(), graph.value(op.inputs[0]).shape, order);
    default:
      return {};
  }
}

}  // namespace lockstep::passes
