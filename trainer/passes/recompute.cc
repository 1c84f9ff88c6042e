// Memory for time: of the forward pass only the values that are alive at a few cuts are kept. What else gradients read
// is computed again, just before they do, by the same ops from the same operands: same bits (Chen et al. 2016,
// "Training Deep Nets with Sublinear Memory Cost").
#include <algorithm>
#include <map>
#include <utility>

#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"
#include "trainer/passes/readers.h"

namespace lockstep::passes {
namespace {

using graph::Graph;
using graph::kNoValue;
using graph::Op;
using graph::ValueId;

constexpr int kNever = -1;

/// A training graph: ops [0, forward) compute losses, the others gradients. By value, what forward ops do with it.
struct Training {
  Training(const Graph& of, size_t forward_ops)
      : graph(of), forward(forward_ops), writer(of.values.size(), kNever), last_reader(of.values.size(), kNever) {
    std::vector<bool> gradients_read(of.values.size(), false);
    for (size_t i = 0; i < of.ops.size(); ++i) {
      for (ValueId id : of.ops[i].inputs) {
        if (id == kNoValue) continue;
        if (i < forward)
          last_reader[Index(id)] = static_cast<int>(i);
        else
          gradients_read[Index(id)] = true;
      }
      if (i >= forward) continue;
      for (ValueId id : of.ops[i].outputs)
        if (id != kNoValue) writer[Index(id)] = static_cast<int>(i);
    }
    for (ValueId id : Results(of)) last_reader[Index(id)] = static_cast<int>(forward);
    alive.resize(forward, 0);
    for (size_t i = 0; i < forward; ++i) {
      int64_t bytes = 0;
      for (ValueId id : of.ops[i].outputs)
        if (id != kNoValue && gradients_read[Index(id)]) bytes += BytesOf(id);
      stored.push_back(bytes + (i == 0 ? 0 : stored.back()));
    }
    for (size_t id = 0; id < writer.size(); ++id)
      for (int i = writer[id]; i != kNever && i < std::min(last_reader[id], static_cast<int>(forward)); ++i)
        alive[static_cast<size_t>(i)] += BytesOf(static_cast<ValueId>(id));
  }

  static size_t Index(ValueId id) { return static_cast<size_t>(id); }
  int64_t BytesOf(ValueId id) const { return graph.value(id).bytes(); }

  const Graph& graph;
  const size_t forward;
  std::vector<int> writer, last_reader;  ///< kNever: no forward op
  std::vector<int64_t> alive;            ///< behind each forward op: bytes that later ones read
  std::vector<int64_t> stored;           ///< up to and with each: bytes that gradients read
};

/// Cuts the forward ops into `count` parts that store about equally much, where little is alive: the last ops of all
/// parts but the last.
std::vector<int> CutsInto(int count, const Training& training) {
  const int64_t total = training.stored.back();
  std::vector<int> cuts;
  for (int part = 1; part < count; ++part) {
    const auto place = [&](int halves) {
      return std::lower_bound(training.stored.begin(), training.stored.end(), total * halves / (2 * count)) -
             training.stored.begin();
    };
    const auto begin = place(2 * part - 1), end = place(2 * part + 1);
    if (begin == end) continue;
    const auto least = std::min_element(training.alive.begin() + begin, training.alive.begin() + end);
    cuts.push_back(static_cast<int>(least - training.alive.begin()));
  }
  return cuts;
}

/// Emits a training graph anew, in which gradients read values of parts before the last cut from ops of their own.
class Rewriter {
 public:
  Rewriter(const Training& training, const std::vector<int>& cuts)
      : training_(training), cuts_(cuts), result_(training.graph) {
    result_.ops.resize(training.forward);
  }

  Graph Run() && {
    for (size_t i = training_.forward; i < training_.graph.ops.size(); ++i) {
      Op op = training_.graph.ops[i];
      for (ValueId& id : op.inputs) id = Again(id);
      result_.ops.push_back(std::move(op));
    }
    return std::move(result_);
  }

 private:
  /// Whether the value is there without being computed again: no forward op writes it, or it is alive at a cut or after
  /// the last.
  bool Kept(ValueId id) const {
    if (id == kNoValue) return true;
    const int written = training_.writer[Training::Index(id)], read = training_.last_reader[Training::Index(id)];
    if (written == kNever || cuts_.empty() || written > cuts_.back()) return true;
    return read > *std::lower_bound(cuts_.begin(), cuts_.end(), written);
  }

  ValueId Again(ValueId id) {
    if (Kept(id)) return id;
    if (const auto known = again_.find(id); known != again_.end()) return known->second;
    const Op& first = training_.graph.ops[static_cast<size_t>(training_.writer[Training::Index(id)])];
    Op op = first;
    for (ValueId& input : op.inputs) input = Again(input);
    op.name += "/again";
    for (ValueId& output : op.outputs) {
      if (output == kNoValue) continue;
      graph::Value value = training_.graph.value(output);
      value.name += "/again";
      result_.values.push_back(std::move(value));
      const auto copy = static_cast<ValueId>(result_.values.size() - 1);
      again_[output] = copy;
      output = copy;
    }
    result_.ops.push_back(std::move(op));
    return again_.at(id);
  }

  const Training& training_;
  const std::vector<int>& cuts_;
  Graph result_;
  std::map<ValueId, ValueId> again_;
};

}  // namespace

Graph RecomputeActivations(const Graph& graph, size_t forward_ops, const std::set<ValueId>& outside) {
  const auto arena = [&](const Graph& of) { return PlanMemory(of, Liveness(of), outside).bytes; };
  Graph best = RemoveDeadOps(graph);
  if (forward_ops == 0) return best;
  int64_t least = arena(best);
  const Training training(graph, forward_ops);
  // From few parts, which are large themselves, to many, which keep much at their cuts.
  for (int parts = 2; static_cast<size_t>(parts) <= forward_ops; parts += std::max(1, parts / 4)) {
    const std::vector<int> cuts = CutsInto(parts, training);
    Graph candidate = RemoveDeadOps(Rewriter(training, cuts).Run());
    const int64_t bytes = arena(candidate);
    if (bytes >= least) continue;
    least = bytes;
    best = std::move(candidate);
  }
  return best;
}

}  // namespace lockstep::passes
