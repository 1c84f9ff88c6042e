#include "trainer/passes/passes.h"
#include "trainer/passes/readers.h"

namespace lockstep::passes {

std::vector<Lifetime> Liveness(const graph::Graph& graph) {
  std::vector<Lifetime> lifetimes(graph.values.size());
  const auto touch = [&](graph::ValueId id, int op) {
    if (id == graph::kNoValue || graph.value(id).role != graph::Role::kActivation) return;
    Lifetime& lifetime = lifetimes[static_cast<size_t>(id)];
    if (lifetime.first < 0) lifetime.first = op;
    lifetime.last = op;
  };
  const int ops = static_cast<int>(graph.ops.size());
  for (int i = 0; i < ops; ++i) {
    const graph::Op& op = graph.ops[static_cast<size_t>(i)];
    for (graph::ValueId id : op.inputs) touch(id, i);
    for (graph::ValueId id : op.outputs) touch(id, i);
  }
  for (graph::ValueId id : Results(graph)) touch(id, ops);
  return lifetimes;
}

}  // namespace lockstep::passes
