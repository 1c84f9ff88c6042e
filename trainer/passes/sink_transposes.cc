#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "trainer/graph/op_table.h"
#include "trainer/graph/strided.h"
#include "trainer/passes/passes.h"
#include "trainer/passes/readers.h"
#include "trainer/passes/reorder_ops.h"

namespace lockstep::passes {
namespace {

using graph::kNoValue;
using graph::Op;
using graph::OpKind;
using graph::ValueId;

size_t Index(int i) { return static_cast<size_t>(i); }

std::optional<std::vector<int>> OrderOf(const graph::Graph& graph, const Op& op) {
  if (op.kind != OpKind::kStrided) return {};
  return graph::AsTranspose(op.as<graph::StridedAttributes>(), graph.value(op.inputs[0]).shape);
}

/// Whether a transpose of `x` leaves its bytes as they are: only dimensions of size 1 change places.
bool IsReshape(const Shape& x, const std::vector<int>& order) {
  int last = -1;
  for (const int from : order) {
    if (x.dim(from) == 1) continue;
    if (from < last) return false;
    last = from;
  }
  return true;
}

/// Elements that transposes move.
int64_t Moved(const graph::Graph& graph) {
  int64_t elements = 0;
  for (const Op& op : graph.ops) {
    const auto order = OrderOf(graph, op);
    if (order && !IsReshape(graph.value(op.inputs[0]).shape, *order))
      elements += graph.value(op.inputs[0]).shape.size();
  }
  return elements;
}

/// Whether the op does the same in any order of dimensions.
bool IsTransparent(const graph::Graph& graph, const Op& op) {
  if (op.outputs.size() != 1) return false;
  std::vector<int> as_it_is(Index(graph.value(op.outputs[0]).shape.rank()));
  if (op.kind == OpKind::kReduce) as_it_is.resize(Index(graph.value(op.inputs[0]).shape.rank()));
  std::iota(as_it_is.begin(), as_it_is.end(), 0);
  return Reorder(graph, op, as_it_is).has_value();
}

/// Who reads values as they are: not transposes.
class AsTheyAre {
 public:
  explicit AsTheyAre(const graph::Graph& graph)
      : readers_(graph.values.size(), 0), wanted_(graph.values.size(), false) {
    for (const ValueId id : Results(graph)) wanted_[static_cast<size_t>(id)] = true;
    for (const Op& op : graph.ops) {
      if (OrderOf(graph, op)) continue;
      const bool transparent = IsTransparent(graph, op);
      for (const ValueId id : op.inputs) {
        if (id == kNoValue) continue;
        ++readers_[static_cast<size_t>(id)];
        if (!transparent) wanted_[static_cast<size_t>(id)] = true;
      }
    }
  }
  /// Of the transpose that makes a value, what falls to each of its readers: nothing where it is made in any case.
  double Share(ValueId id) const {
    const auto i = static_cast<size_t>(id);
    return wanted_[i] || readers_[i] == 0 ? 0 : 1.0 / readers_[i];
  }

 private:
  std::vector<int> readers_;
  std::vector<bool> wanted_;
};

/// Rebuilds a graph from its ops. Values that are transposes of others are not made before an op needs them as they
/// are; until then ops that don't care compute on the others.
class Sinking {
 public:
  explicit Sinking(const graph::Graph& forward)
      : forward_(forward), graph_(forward), readers_(forward), meets_(MeetTransposes(forward)) {
    graph_.ops.clear();
  }

  graph::Graph Run() && {
    for (const Op& op : forward_.ops) {
      if (Transpose(op) || Reshape(op) || Sink(op)) continue;
      Op kept = op;
      for (ValueId& id : kept.inputs) id = Read(id);
      graph_.ops.push_back(std::move(kept));
    }
    for (const ValueId id : Results(forward_)) Make(id);
    return std::move(graph_);
  }

 private:
  /// Dimension d of the value is dimension order[d] of `source`, which has been made.
  struct View {
    ValueId source;
    std::vector<int> order;
  };

  /// Which values are read by a transpose, by a reduction, which leaves less to transpose, or by an op below which one
  /// of these is met.
  static std::vector<bool> MeetTransposes(const graph::Graph& graph) {
    std::vector<bool> meets(graph.values.size(), false);
    for (auto op = graph.ops.rbegin(); op != graph.ops.rend(); ++op) {
      const auto order = OrderOf(graph, *op);
      const bool met = !order && op->outputs[0] != kNoValue && meets[static_cast<size_t>(op->outputs[0])];
      const bool through = met || op->kind == OpKind::kReduce;
      for (const ValueId id : op->inputs) {
        if (id == kNoValue || !(order || through)) continue;
        if (order || IsTransparent(graph, *op)) meets[static_cast<size_t>(id)] = true;
      }
    }
    return meets;
  }

  /// Whether it is its source after all.
  static bool IsPlain(const View& view) { return std::ranges::is_sorted(view.order); }

  const Shape& ShapeOf(ValueId id) const { return graph_.value(id).shape; }

  /// A transpose is not made, but one with those before it.
  bool Transpose(const Op& op) {
    std::optional<std::vector<int>> order = OrderOf(forward_, op);
    if (!order) return false;
    View view{op.inputs[0], *order};
    if (const auto before = views_.find(op.inputs[0]); before != views_.end()) {
      view.source = before->second.source;
      for (int& d : view.order) d = before->second.order[Index(d)];
    }
    views_[op.outputs[0]] = std::move(view);
    return true;
  }

  /// The bytes of a transpose that leaves them as they are have any shape.
  bool Reshape(const Op& op) {
    if (op.kind != OpKind::kReshape) return false;
    const auto found = views_.find(op.inputs[0]);
    if (found == views_.end() || !IsReshape(ShapeOf(found->second.source), found->second.order)) return false;
    Op reshape = op;
    reshape.inputs[0] = found->second.source;
    graph_.ops.push_back(std::move(reshape));
    return true;
  }

  /// An operand as an op over dimensions in another order reads it; kNoValue: that would take a transpose.
  ValueId OperandIn(const std::vector<int>& order, ValueId id, bool broadcasts) {
    const auto found = views_.find(id);
    if (found != views_.end() && found->second.order == order) return found->second.source;
    const Shape& shape = ShapeOf(id);
    const auto large = std::ranges::count_if(shape.dims(), [](int64_t size) { return size > 1; });
    if (!broadcasts || large > 1 || shape.rank() > static_cast<int>(order.size())) return kNoValue;
    if (shape.size() == 1) return Read(id);
    std::vector<int64_t> dims(order.size(), 1);
    std::ranges::copy(shape.dims(), dims.end() - shape.rank());
    const Shape wanted = ReorderedShape(Shape(std::span<const int64_t>(dims)), order);
    const ValueId source = found != views_.end() ? found->second.source : id;
    if (ShapeOf(source) == wanted) return source;
    const std::string name = graph_.value(id).name + "/reordered";
    return AppendOp(graph_, OpKind::kReshape, {source}, graph::ReshapeAttributes{wanted}, name)[0];
  }

  /// An op over transposes becomes a transpose of the op, where it meets another below, or where its operands would
  /// have to be made for it.
  bool Sink(const Op& op) {
    if (op.outputs.size() != 1 || op.outputs[0] == kNoValue) return false;
    const View* view = nullptr;
    double saved = 0;
    for (const ValueId id : op.inputs) {
      const auto found = views_.find(id);
      if (found == views_.end() || IsPlain(found->second)) continue;
      saved += readers_.Share(id);
      if (view == nullptr || found->second.order.size() > view->order.size()) view = &found->second;
    }
    const bool sinks = saved >= 1 || op.kind == OpKind::kReduce || meets_[static_cast<size_t>(op.outputs[0])];
    if (view == nullptr || !sinks) return false;
    const std::vector<int> order = view->order;
    const bool reduces = op.kind == OpKind::kReduce;
    if (!reduces && ShapeOf(op.outputs[0]).rank() != static_cast<int>(order.size())) return false;
    const std::optional<Reordered> reordered = Reorder(forward_, op, order);
    if (!reordered) return false;
    const bool broadcasts = op.kind != OpKind::kConcat && op.kind != OpKind::kAdd;
    std::vector<ValueId> inputs;
    for (const ValueId id : op.inputs) {
      inputs.push_back(id == kNoValue ? kNoValue : OperandIn(order, id, broadcasts));
      if (id != kNoValue && inputs.back() == kNoValue) return false;
    }
    const ValueId made = AppendOp(graph_, op.kind, std::move(inputs), reordered->attributes, op.name)[0];
    graph_.values[static_cast<size_t>(made)].name = graph_.value(op.outputs[0]).name + "/reordered";
    views_[op.outputs[0]] = {made, reordered->order};
    return true;
  }

  /// What an op reads that wants the value as the forward graph has it: itself, or what it is after all.
  ValueId Read(ValueId id) {
    const auto found = views_.find(id);
    return found != views_.end() && IsPlain(found->second) ? found->second.source : Make(id);
  }

  /// The value as the forward graph has it.
  ValueId Make(ValueId id) {
    const auto found = views_.find(id);
    if (found == views_.end() || !made_.insert(id).second) return id;
    const View& view = found->second;
    const graph::Value& value = graph_.value(id);
    Op op{.kind = OpKind::kReshape,
          .inputs = {view.source},
          .outputs = {id},
          .attributes = graph::ReshapeAttributes{value.shape},
          .name = value.name};
    if (!IsReshape(ShapeOf(view.source), view.order)) {
      op.kind = OpKind::kStrided;
      op.attributes = graph::Transposed(ShapeOf(view.source), view.order);
    }
    graph_.ops.push_back(std::move(op));
    return id;
  }

  const graph::Graph& forward_;
  graph::Graph graph_;
  AsTheyAre readers_;
  std::vector<bool> meets_;
  std::map<ValueId, View> views_;
  std::set<ValueId> made_;
};

}  // namespace

graph::Graph SinkTransposes(const graph::Graph& forward) {
  const int64_t before = Moved(forward);
  if (before == 0) return forward;
  graph::Graph sunk = Sinking(forward).Run();
  return Moved(sunk) <= before ? sunk : forward;
}

}  // namespace lockstep::passes
