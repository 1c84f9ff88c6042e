#include "launch/estimate/op_work.h"

#include <algorithm>

#include "trainer/graph/op_table.h"

namespace lockstep::launch {
namespace {

constexpr double kFloat = sizeof(float);

double Dim(const Shape& shape, int index) {
  return shape.rank() == 0 ? 1 : static_cast<double>(std::max<int64_t>(1, shape.dim(index)));
}

}  // namespace

OpWork WorkOf(const graph::Graph& graph, const graph::Op& op) {
  OpWork work{.kind = graph::Name(op.kind), .flops = graph::Row(op.kind).flops(graph, op)};
  for (const auto* list : {&op.inputs, &op.outputs})
    for (graph::ValueId id : *list)
      if (id != graph::kNoValue) work.bytes += static_cast<double>(graph.value(id).bytes());
  const auto first = [&](const std::vector<graph::ValueId>& ids) -> const Shape* {
    const auto found = std::find_if(ids.begin(), ids.end(), [](graph::ValueId id) { return id != graph::kNoValue; });
    return found == ids.end() ? nullptr : &graph.value(*found).shape;
  };
  if (const Shape* in = first(op.inputs)) {
    work.shape[1] = Dim(*in, 0);
    work.shape[2] = Dim(*in, in->rank() - 1);
  }
  if (const Shape* out = first(op.outputs)) {
    work.shape[0] = static_cast<double>(std::max<int64_t>(1, out->size()));
    work.shape[3] = Dim(*out, out->rank() - 1);
  }
  return work;
}

OpWork UpdateWork(double elements, int pieces, int state_arrays) {
  return {.kind = "update",
          .flops = 0,
          .bytes = kFloat * elements * (pieces + 2 + 2 * state_arrays),
          .shape = {std::max(1.0, elements), static_cast<double>(pieces), static_cast<double>(state_arrays + 1), 1}};
}

OpWork FoldWork(double elements) {
  return {.kind = "fold", .flops = 0, .bytes = 2.5 * kFloat * elements, .shape = {std::max(1.0, elements), 1, 1, 1}};
}

OpWork PackWork(double bytes) { return {.kind = "pack", .flops = 0, .bytes = 2 * bytes, .shape = {1, 1, 1, 1}}; }

OpWork InputWork(double bytes) { return {.kind = "input", .flops = 0, .bytes = 2 * bytes, .shape = {1, 1, 1, 1}}; }

}  // namespace lockstep::launch
