#include "trainer/engine/compile.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "trainer/engine/aliases.h"
#include "trainer/engine/buckets.h"
#include "trainer/graph/dot.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/step_block.h"

namespace lockstep::engine {
namespace {

/// Writes graphs as NN-pass.dot, numbered in the order of the passes.
class Dumper {
 public:
  explicit Dumper(std::string folder) : folder_(std::move(folder)) {}

  void Dump(const char* pass, const graph::Graph& graph) {
    if (folder_.empty()) return;
    const std::string path = fmt::format("{}/{:02}-{}.dot", folder_, number_++, pass);
    std::error_code ignored;  // what can't be made can't be written below
    std::filesystem::create_directories(folder_, ignored);
    std::ofstream file(path);
    file << graph::ToDot(graph);
    file.close();
    if (!file) throw Error(ErrorKind::kUsage, "can't write the graph", path, "is the folder writable, the disk full?");
  }

 private:
  std::string folder_;
  int number_ = 0;
};

graph::Graph RunPasses(const graph::Graph& model, const CompileOptions& options, const Backend& backend) {
  Dumper dumper(options.dump_folder);
  dumper.Dump("model", model);
  const bool training = options.mode == graph::Mode::kTrain;
  graph::Graph graph = model;
  if (options.bytes) {
    graph = passes::TakeBytes(graph, *options.bytes);
    dumper.Dump("take_bytes", graph);
  }
  if (!options.frozen_statistics.empty()) {
    graph = passes::FreezeStatistics(graph, options.frozen_statistics);
    dumper.Dump("freeze_statistics", graph);
  }
  graph = passes::SinkTransposes(graph);
  dumper.Dump("sink_transposes", graph);
  graph = passes::RecogniseActivations(graph);
  dumper.Dump("recognise_activations", graph);
  graph = passes::FuseActivations(graph, training);
  dumper.Dump("fuse_activations", graph);
  if (options.activations == DType::kBF16) {
    graph = passes::LowerPrecision(graph);
    dumper.Dump("lower_precision", graph);
  }
  const size_t forward_ops = graph.ops.size();
  if (training) {
    graph = passes::AddGradients(graph, options.frozen);
    dumper.Dump("add_gradients", graph);
  }
  if (training && options.recompute_activations) {
    graph = passes::RecomputeActivations(graph, forward_ops, GradientArenaValues(graph));
    dumper.Dump("recompute_activations", graph);
  } else {
    graph = passes::RemoveDeadOps(graph);
    dumper.Dump("remove_dead_ops", graph);
  }
  if (backend.FusesOps()) {
    graph = passes::FuseForDevice(graph);
    dumper.Dump("fuse_for_device", graph);
  }
  graph = passes::FuseElementwise(graph);
  dumper.Dump("fuse_elementwise", graph);
  if (backend.RowAlignment() > 0) {
    graph = passes::PadRows(graph, backend.RowAlignment());
    dumper.Dump("pad_rows", graph);
  }
  return graph;
}

void CheckLayout(const graph::Graph& model, const ParameterLayout& layout) {
  const auto check = [&](graph::ValueId id, bool statistic) {
    const graph::Value& value = model.value(id);
    const ArenaEntry* entry = layout.Find(value.name);
    if (entry == nullptr || entry->statistic != statistic || entry->shape != value.shape) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("the model's parameter {} {} is {} in the parameter arena", value.name,
                              value.shape.ToString(), entry == nullptr ? "missing" : entry->shape.ToString()),
                  value.name, "a model must have the same parameters in every mode");
    }
  };
  for (graph::ValueId id : model.parameters) check(id, false);
  for (graph::ValueId id : model.statistics) check(id, true);
}

void CheckSupport(const graph::Graph& graph, const Backend& backend) {
  for (const graph::Op& op : graph.ops) {
    if (backend.Supports(op.kind)) continue;
    // A reshape costs no kernel, save the rare one that must copy.
    if (op.kind == graph::OpKind::kReshape && !GradientArenaValues(graph).contains(op.outputs[0])) continue;
    throw Error(ErrorKind::kInternal, fmt::format("the {} backend has no kernel for {}", backend.name(), Name(op.kind)),
                op.name);
  }
}

/// Whether one packed copy serves both: kinds, attributes and inputs' shapes are the same.
bool PacksAlike(const graph::Graph& graph, const graph::Op& a, const graph::Op& b) {
  return a.kind == b.kind && a.attributes == b.attributes &&
         std::equal(a.inputs.begin(), a.inputs.end(), b.inputs.begin(), b.inputs.end(),
                    [&](graph::ValueId x, graph::ValueId y) {
                      if (x == graph::kNoValue || y == graph::kNoValue) return x == y;
                      return graph.value(x).shape == graph.value(y).shape &&
                             graph.value(x).dtype == graph.value(y).dtype &&
                             graph.value(x).pitch == graph.value(y).pitch;
                    });
}

/// The copy of `plan` that serves `input` of op `index` too; -1: there is none.
int KnownCopy(const ProgramPlan& plan, Backend& backend, size_t index, int input) {
  const graph::Op& op = plan.graph.ops[index];
  const int layout = backend.PackedLayout(plan.graph, op, input);
  for (size_t i = 0; i < plan.copies.size(); ++i) {
    const ProgramPlan::PlannedCopy& known = plan.copies[i];
    const graph::Op& other = plan.graph.ops[static_cast<size_t>(known.op)];
    if (other.inputs[static_cast<size_t>(known.input)] != op.inputs[static_cast<size_t>(input)]) continue;
    const bool same_layout = layout >= 0 && layout == known.layout;
    if (same_layout || (known.input == input && PacksAlike(plan.graph, op, other))) return static_cast<int>(i);
  }
  return -1;
}

void PlanPacking(ProgramPlan& plan, Backend& backend, int runs) {
  for (size_t i = 0; i < plan.graph.ops.size(); ++i) {
    const graph::Op& op = plan.graph.ops[i];
    for (int input = 0; input < static_cast<int>(op.inputs.size()); ++input) {
      const graph::ValueId id = op.inputs[static_cast<size_t>(input)];
      if (id == graph::kNoValue || plan.graph.value(id).role != graph::Role::kParameter) continue;
      const size_t bytes = backend.PackedBytes(plan.graph, op, input, runs);
      if (bytes == 0) continue;
      const int copy = KnownCopy(plan, backend, i, input);
      plan.packed.push_back({static_cast<int>(i), input, copy < 0 ? static_cast<int>(plan.copies.size()) : copy});
      if (copy >= 0) continue;
      const size_t aligned = AlignUp(bytes, kValueAlignment);
      plan.copies.push_back({static_cast<int>(i), input, backend.PackedLayout(plan.graph, op, input), aligned});
      plan.packed_bytes += aligned;
    }
  }
}

void PlanInputs(ProgramPlan& plan) {
  plan.input_offset.assign(plan.graph.values.size(), -1);
  for (size_t id = 0; id < plan.graph.values.size(); ++id) {
    const graph::Value& value = plan.graph.values[id];
    const bool step_block = value.role == graph::Role::kStepBlock;
    if (!step_block && value.role != graph::Role::kInput) continue;
    const size_t bytes = step_block ? sizeof(graph::StepBlock) : static_cast<size_t>(value.bytes());
    plan.input_offset[id] = static_cast<int64_t>(plan.input_bytes);
    if (step_block) plan.step_block_offset = plan.input_offset[id];
    plan.input_bytes += AlignUp(bytes, kBufferAlignment);
  }
}

void PlanBuckets(ProgramPlan& plan, const ParameterLayout& layout, const CompileOptions& options) {
  plan.buckets_after.resize(plan.graph.ops.size());
  if (options.mode != graph::Mode::kTrain) return;
  const std::vector<int> last = LastTouch(plan.graph, layout, options.buckets);
  for (size_t k = 0; k < last.size(); ++k) {
    auto& list = last[k] < 0 ? plan.buckets_at_start : plan.buckets_after[static_cast<size_t>(last[k])];
    list.push_back(static_cast<int>(k));
  }
}

/// Of a graph in the order of its ops: those that its losses need.
size_t CountForwardOps(const graph::Graph& graph) {
  const auto makes_loss = [&](const graph::Op& op) {
    return std::ranges::any_of(graph.losses, [&](const graph::Loss& loss) {
      return std::ranges::find(op.outputs, loss.sum) != op.outputs.end();
    });
  };
  for (size_t count = graph.ops.size(); count > 0; --count)
    if (makes_loss(graph.ops[count - 1])) return count;
  return graph.ops.size();
}

}  // namespace

ProgramPlan Compile(const graph::Graph& model, const ParameterLayout& layout, Backend& backend,
                    const CompileOptions& options) {
  CheckLayout(model, layout);
  if (options.mode == graph::Mode::kTrain && model.losses.empty()) {
    throw Error(ErrorKind::kUsage, "the model has no loss to train by");
  }
  ProgramPlan plan;
  plan.graph = RunPasses(model, options, backend);
  CheckSupport(plan.graph, backend);
  plan.memory = passes::PlanMemory(plan.graph, passes::Liveness(plan.graph), GradientArenaValues(plan.graph));
  for (const graph::Op& op : plan.graph.ops) {
    plan.workspace_bytes =
        std::max(plan.workspace_bytes, AlignUp(backend.WorkspaceBytes(plan.graph, op), kValueAlignment));
    plan.flops += graph::Row(op.kind).flops(plan.graph, op);
  }
  plan.forward_ops = CountForwardOps(plan.graph);
  PlanPacking(plan, backend, options.runs_on_same_weights);
  PlanInputs(plan);
  PlanBuckets(plan, layout, options);
  return plan;
}

}  // namespace lockstep::engine
