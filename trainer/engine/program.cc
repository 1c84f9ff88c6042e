#include "trainer/engine/program.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "trainer/engine/addable_gradients.h"
#include "trainer/engine/aliases.h"

namespace lockstep::engine {
namespace {

using graph::kNoValue;
using graph::Role;
using graph::ValueId;

size_t BytesOf(const graph::Value& value) { return static_cast<size_t>(value.bytes()); }

/// Where `parameter` lies, in elements.
int64_t OffsetOf(const graph::Graph& graph, const ParameterLayout& layout, ValueId parameter) {
  const ArenaEntry* entry = layout.Find(graph.value(parameter).name);
  CHECK(entry != nullptr, "{} is not in the layout", graph.value(parameter).name);
  return entry->offset;
}

void CheckBindings(const ProgramPlan& plan, const Program::Bindings& bindings) {
  CHECK(bindings.arena.size() >= static_cast<size_t>(plan.memory.bytes), "an arena of {} bytes for {}",
        bindings.arena.size(), plan.memory.bytes);
  CHECK(bindings.workspace.size() >= plan.workspace_bytes, "a workspace of {} bytes for {}", bindings.workspace.size(),
        plan.workspace_bytes);
  CHECK(bindings.packed != nullptr || plan.packed.empty(), "packed weights are missing");
  CHECK(bindings.inputs.empty() || bindings.inputs.size() >= plan.input_bytes, "inputs of {} bytes for {}",
        bindings.inputs.size(), plan.input_bytes);
}

/// The addresses of all values, save inputs and the step block, which `addresses` has already.
void ResolveAddresses(const ProgramPlan& plan, const ParameterLayout& layout, const Program::Bindings& bindings,
                      std::vector<void*>& addresses) {
  const graph::Graph& graph = plan.graph;
  const auto set = [&](ValueId id, const void* address) {
    addresses[static_cast<size_t>(id)] = const_cast<void*>(address);
  };
  for (size_t id = 0; id < addresses.size(); ++id) {
    const graph::Value& value = graph.values[id];
    if (value.role != Role::kState) continue;
    CHECK(bindings.states != nullptr && bindings.states->contains(value.name), "state {} has no memory", value.name);
    addresses[id] = bindings.states->at(value.name);
  }
  for (ValueId id : graph.parameters) set(id, bindings.parameters + OffsetOf(graph, layout, id));
  for (ValueId id : graph.statistics) set(id, bindings.parameters + OffsetOf(graph, layout, id));
  for (size_t id = 0; id < addresses.size(); ++id) {
    if (plan.memory.offset[id] >= 0) addresses[id] = bindings.arena.data() + plan.memory.offset[id];
  }
  for (const auto& [parameter, gradient] : graph.gradients) {
    set(gradient, bindings.gradients + OffsetOf(graph, layout, parameter));
  }
  for (const graph::StatisticUpdate& update : graph.statistic_updates) {
    set(update.lane_value, bindings.gradients + OffsetOf(graph, layout, update.statistic));
  }
  const std::vector<ValueId> roots = ReshapeRoots(graph, GradientArenaValues(graph));
  for (size_t id = 0; id < addresses.size(); ++id) addresses[id] = addresses[static_cast<size_t>(roots[id])];
}

Operands OperandsOf(const graph::Op& op, const std::vector<void*>& addresses, std::byte* workspace) {
  Operands operands;
  const auto address = [&](ValueId id) {
    CHECK(id == kNoValue || addresses[static_cast<size_t>(id)] != nullptr, "{}: value {} has no memory", op.name, id);
    return id == kNoValue ? nullptr : addresses[static_cast<size_t>(id)];
  };
  for (ValueId id : op.inputs) operands.inputs.push_back(address(id));
  for (ValueId id : op.outputs) operands.outputs.push_back(address(id));
  operands.packed.resize(op.inputs.size(), nullptr);
  operands.workspace = workspace;
  return operands;
}

}  // namespace

Program::Program(std::shared_ptr<const ProgramPlan> plan, const ParameterLayout& layout, Backend& backend,
                 const Bindings& bindings)
    : plan_(std::move(plan)) {
  const graph::Graph& graph = plan_->graph;
  CheckBindings(*plan_, bindings);
  addresses_.resize(graph.values.size(), nullptr);
  const bool own = bindings.inputs.empty();
  if (own) own_inputs_ = Buffer(plan_->input_bytes);
  std::byte* const inputs = own ? own_inputs_.data() : bindings.inputs.data();
  for (size_t id = 0; id < graph.values.size(); ++id) {
    if (plan_->input_offset[id] >= 0) addresses_[id] = inputs + plan_->input_offset[id];
  }
  step_block_ = &unread_;
  if (plan_->step_block_offset >= 0) {
    step_block_ = reinterpret_cast<graph::StepBlock*>(inputs + plan_->step_block_offset);
    if (own) *step_block_ = {};
  }
  ResolveAddresses(*plan_, layout, bindings, addresses_);

  std::vector<Operands> operands;
  for (const graph::Op& op : graph.ops) operands.push_back(OperandsOf(op, addresses_, bindings.workspace.data()));
  for (const ProgramPlan::PackedOperand& packed : plan_->packed) {
    operands[static_cast<size_t>(packed.op)].packed[static_cast<size_t>(packed.input)] =
        bindings.packed->copies()[static_cast<size_t>(packed.copy)]->data();
  }
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const graph::Op& op = graph.ops[i];
    // A reshaped value that lies where its source lies needs no kernel.
    if (bindings.added != nullptr) operands[i].adds = bindings.added->contains(ParameterOfGradient(graph, op));
    const bool nothing_to_do = op.kind == graph::OpKind::kReshape && operands[i].inputs[0] == operands[i].outputs[0];
    kernels_.push_back(nothing_to_do ? nullptr : backend.Prepare(graph, op, operands[i]));
  }
}

std::span<std::byte> Program::input(const std::string& name) {
  const ValueId id = plan_->Input(name);
  if (id == kNoValue) return {};
  return {static_cast<std::byte*>(Address(id)), BytesOf(plan_->graph.value(id))};
}

void Program::Run(const std::function<void(int bucket)>& on_bucket, profile::EventLog* log) {
  using profile::What;
  const auto begin = std::chrono::steady_clock::now();
  const int64_t forward_begin = log == nullptr ? 0 : profile::EventLog::Now();
  int64_t mark = forward_begin, backward_begin = forward_begin;
  const auto call = [&](const std::vector<int>& ready) {
    if (!on_bucket) return;
    for (int bucket : ready) {
      on_bucket(bucket);
      if (log != nullptr) mark = log->Lap(What::kFold, bucket, mark);
    }
  };
  call(plan_->buckets_at_start);
  for (size_t i = 0; i < kernels_.size(); ++i) {
    if (kernels_[i]) {
      kernels_[i]->Run();
      if (log != nullptr) mark = log->Lap(What::kOp, static_cast<int>(i), mark);
    }
    if (i + 1 == plan_->forward_ops) {
      forward_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (log != nullptr) log->Add(What::kForward, -1, forward_begin, backward_begin = mark);
    }
    call(plan_->buckets_after[i]);
  }
  if (log != nullptr && mark > backward_begin) log->Add(What::kBackward, -1, backward_begin, mark);
}

double Program::loss(int index) const {
  double sum;
  std::memcpy(&sum, Address(plan_->graph.losses.at(static_cast<size_t>(index)).sum), sizeof sum);
  return sum;
}

int64_t Program::counter(int index) const {
  int64_t count;
  std::memcpy(&count, Address(plan_->graph.counters.at(static_cast<size_t>(index)).count), sizeof count);
  return count;
}

std::span<const std::byte> Program::output(const std::string& name) const {
  const auto found = plan_->graph.outputs.find(name);
  CHECK(found != plan_->graph.outputs.end(), "the graph has no output {}", name);
  return {static_cast<const std::byte*>(Address(found->second)), BytesOf(plan_->graph.value(found->second))};
}

void* Program::Address(ValueId id) const { return addresses_[static_cast<size_t>(id)]; }

}  // namespace lockstep::engine
