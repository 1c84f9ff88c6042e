#include "trainer/step/device/device_lanes.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "trainer/engine/addable_gradients.h"
#include "trainer/graph/step_block.h"
#include "trainer/step/executor_phase.h"
#include "trainer/step/loss_scales.h"

namespace lockstep::step {
namespace {

using std::chrono::steady_clock;

/// On an executor's thread, which has nothing else to do meanwhile.
void Await(DeviceEvent& event) {
  constexpr auto kNap = std::chrono::microseconds(20);
  while (!event.Done()) std::this_thread::sleep_for(kNap);
}

size_t ResultCount(const graph::Graph& graph) { return graph.losses.size() + graph.counters.size(); }

LaneRecord ReadRecord(const graph::Graph& graph, const int64_t* results) {
  LaneRecord record;
  CHECK(graph.losses.size() <= std::size(record.losses) && graph.counters.size() <= std::size(record.counters));
  for (size_t i = 0; i < graph.losses.size(); ++i) {
    std::memcpy(&record.losses[i], results++, sizeof(double));
    record.losses[i] *= double{graph.losses[i].weight};
  }
  for (size_t i = 0; i < graph.counters.size(); ++i) record.counters[i] = *results++;
  return record;
}

}  // namespace

DeviceLanes::DeviceLanes(DeviceKit& kit, const plan::JobPlans& plans, comm::DeviceExchange& exchange,
                         comm::FlightRecorder* recorder, LaneRange lanes, const plan::TrainConfig& config)
    : kit_(kit),
      plans_(plans),
      exchange_(exchange),
      recorder_(recorder),
      lanes_(lanes),
      seed_(config.seed()),
      copies_(kit.device->MakeStream()) {
  lockstep::Device& device = *kit.device;
  size_t activations = 0, workspace = 0, evaluation_inputs = 0;
  for (const auto* programs : {&plans.train, &plans.evaluate})
    for (const auto& plan : *programs) {
      activations = std::max(activations, static_cast<size_t>(plan->memory.bytes));
      workspace = std::max(workspace, plan->workspace_bytes);
      size_t& inputs = programs == &plans.train ? fold_offset_ : evaluation_inputs;
      inputs = std::max(inputs, plan->input_bytes);
    }
  arena_ = device.Allocate(activations, "activations");
  workspace_ = device.Allocate(workspace, "workspace");
  fold_step_ = device.Allocate(sizeof(optim::FoldStep), "the fold");
  MakeSlots(train_, 2, fold_offset_ + sizeof(optim::FoldStep));
  MakeSlots(evaluate_, 1, evaluation_inputs);
  const size_t results = sizeof(int64_t) * ResultCount(plans.train.front()->graph);
  for (auto& memory : results_) memory = device.AllocatePinned(results * static_cast<size_t>(lanes.size()));
  evaluated_results_ = device.AllocatePinned(sizeof(int64_t) * ResultCount(plans.evaluate.front()->graph));
  finished_ = device.MakeEvent();
  for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket) bucket_ready_.push_back(device.MakeEvent());

  PlanFold(static_cast<int>(config.lanes()));
  auto* gradients = reinterpret_cast<float*>(exchange.pieces().front());
  if (!plan::WritesIntoPiece(lanes, exchange.wire())) {
    gradients_ = device.Allocate(static_cast<size_t>(plans.layout.elements()) * sizeof(float), "a lane's gradient");
    gradients = gradients_->As<float>();
    added_ranges_ = device.Allocate(plans.layout.entries().size() * sizeof(ElementRange), "ranges of the fold");
    PlanAdditions(static_cast<int>(config.lanes()));
    WarmUpFold();
  }
  for (const auto& plan : plans.train) PrepareTraining(plan, gradients);
  for (const auto& plan : plans.evaluate) {
    Captured& captured = evaluate_.programs.emplace_back(Prepare(plan, nullptr));
    kit_.stream->BeginCapture();
    captured.program->Run(nullptr);
    captured.run = kit_.stream->EndCapture();
  }
}

DeviceLanes::~DeviceLanes() {
  // Work under way uses the memory of this.
  try {
    copies_->Synchronize();
    kit_.stream->Synchronize();
  } catch (const std::exception&) {
    // The device has failed: nothing runs any more.
  }
}

void DeviceLanes::MakeSlots(ProgramSet& set, size_t count, size_t bytes) {
  for (size_t i = 0; i < count; ++i)
    set.slots.push_back({kit_.device->AllocatePinned(bytes), kit_.device->Allocate(bytes, "batches"),
                         kit_.device->MakeEvent(), kit_.device->MakeEvent()});
}

void DeviceLanes::PlanFold(int all_lanes) {
  const std::vector<plan::FoldLeaf> leaves = plan::FoldLeaves(all_lanes, exchange_.piece_nodes());
  int entries = 0;
  for (const plan::FoldLeaf& leaf : leaves) entries = std::max(entries, leaf.target());
  for (int entry = 0; entry < entries; ++entry)
    stack_.push_back(
        kit_.device->Allocate(static_cast<size_t>(plans_.layout.elements() * SizeOf(exchange_.wire())), "the fold"));
  const auto entry_of = [&](const plan::FoldLeaf& leaf, int depth) {
    return depth == 0 ? exchange_.pieces()[leaf.node] : stack_[static_cast<size_t>(depth - 1)]->data();
  };
  for (const plan::FoldLeaf& leaf : leaves) {
    optim::FoldStep step;
    CHECK(leaf.additions <= optim::FoldStep::kMaxAdditions);
    step.target = entry_of(leaf, leaf.target());
    step.additions = leaf.additions;
    for (int k = 0; k < leaf.additions; ++k) step.addends[k] = entry_of(leaf, leaf.depth - 1 - k);
    fold_.push_back(step);
  }
}

/// Where a sum of two lanes is the first of the tree, gradients that one product writes are left where they lie by the
/// first lane and added there by the second one's product. Pieces are floats then, so that the sum is rounded as ever.
void DeviceLanes::PlanAdditions(int all_lanes) {
  if (exchange_.wire() != DType::kF32) return;
  std::vector<std::set<std::string>> addable;  // by shape
  for (const auto& plan : plans_.train) addable.push_back(engine::AddableGradients(*plan, *kit_.backend));
  std::vector<ElementRange> ranges;
  for (const engine::ArenaEntry& entry : plans_.layout.entries()) {
    if (!std::ranges::all_of(addable, [&](const auto& names) { return names.contains(entry.name); })) continue;
    added_.insert(entry.name);
    ranges.push_back({entry.offset, entry.offset + entry.size()});
  }
  const auto pinned = kit_.device->AllocatePinned(added_ranges_->size());
  std::ranges::copy(ranges, pinned->As<ElementRange>());
  kit_.stream->Copy(added_ranges_->data(), pinned->data(), ranges.size() * sizeof(ElementRange));
  kit_.stream->Synchronize();
  const std::vector<plan::FoldLeaf> leaves = plan::FoldLeaves(all_lanes, exchange_.piece_nodes());
  for (size_t lane = 1; lane < leaves.size(); ++lane) {
    if (!plan::AddsLaneBefore(leaves, lane)) continue;
    fold_[lane - 1].added = optim::FoldStep::Added::kFirst;
    fold_[lane].added = optim::FoldStep::Added::kSecond;
  }
  for (optim::FoldStep& step : fold_) {
    step.ranges = static_cast<int32_t>(ranges.size());
    step.added_ranges = added_ranges_->As<ElementRange>();
  }
}

/// Elements `range` of a lane's gradient into the pieces, where its program has not put them there itself.
void DeviceLanes::Fold(ElementRange range) {
  if (gradients_ == nullptr) return;
  kit_.kernels->Fold(*kit_.stream, fold_step_->As<optim::FoldStep>(), exchange_.wire(), gradients_->As<float>(), range);
}

/// Runs the fold's kernel once, so that it is loaded before work with it is captured. The sums mean nothing yet.
void DeviceLanes::WarmUpFold() {
  std::byte* const step = train_.slots.front().pinned->data() + fold_offset_;
  std::memcpy(step, &fold_.front(), sizeof(optim::FoldStep));
  kit_.stream->Copy(fold_step_->data(), step, sizeof(optim::FoldStep));
  Fold(exchange_.slices().bucket(0));
  kit_.stream->Synchronize();
}

engine::Program::Bindings DeviceLanes::BindingsOf(const Captured& captured, float* gradients) const {
  engine::Program::Bindings bindings;
  bindings.parameters = exchange_.weights();
  bindings.gradients = gradients;
  bindings.packed = captured.packed.get();
  bindings.arena = arena_->bytes();
  bindings.workspace = workspace_->bytes();
  bindings.inputs = captured.inputs->bytes();
  return bindings;
}

DeviceLanes::Captured DeviceLanes::Prepare(std::shared_ptr<const engine::ProgramPlan> plan, float* gradients) {
  lockstep::Device& device = *kit_.device;
  Captured captured;
  captured.inputs = device.Allocate(plan->input_bytes, "inputs");
  captured.packed_memory = device.Allocate(plan->packed_bytes, "packed weights");
  captured.packed = std::make_unique<engine::PackedWeights>(*plan, plans_.layout, *kit_.backend, exchange_.weights(),
                                                            captured.packed_memory->bytes());
  captured.program =
      std::make_unique<engine::Program>(std::move(plan), plans_.layout, *kit_.backend, BindingsOf(captured, gradients));
  captured.packed->Pack();
  kit_.stream->BeginCapture();
  captured.packed->Pack();
  captured.pack = kit_.stream->EndCapture();
  // Libraries load kernels when they first run, which captured work can't.
  captured.program->Run(nullptr);
  kit_.stream->Synchronize();
  return captured;
}

/// Of programs whose weights have changed.
void DeviceLanes::SetPacksDue(ProgramSet& set) {
  for (Captured& captured : set.programs) captured.pack_due = true;
}

void DeviceLanes::PackIfDue(Captured& captured) {
  if (std::exchange(captured.pack_due, false)) kit_.stream->Run(*captured.pack);
}

void DeviceLanes::PrepareTraining(const std::shared_ptr<const engine::ProgramPlan>& plan, float* gradients) {
  Captured& captured = train_.programs.emplace_back(Prepare(plan, gradients));
  captured.run = CaptureTraining(*captured.program);
  const auto is_second = [](const optim::FoldStep& step) { return step.added == optim::FoldStep::Added::kSecond; };
  if (added_.empty() || std::ranges::none_of(fold_, is_second)) return;
  engine::Program::Bindings bindings = BindingsOf(captured, gradients);
  bindings.added = &added_;
  captured.adding = std::make_unique<engine::Program>(plan, plans_.layout, *kit_.backend, bindings);
  captured.adding->Run(nullptr);
  kit_.stream->Synchronize();
  captured.run_adding = CaptureTraining(*captured.adding);
}

std::unique_ptr<DeviceGraph> DeviceLanes::CaptureTraining(engine::Program& program) {
  kit_.stream->BeginCapture();
  program.Run([&](int bucket) {
    Fold(exchange_.slices().bucket(bucket));
    kit_.stream->Record(bucket_ready(bucket));
  });
  return kit_.stream->EndCapture();
}

/// A slot whose last copy is over, filled with the batch.
DeviceLanes::Slot& DeviceLanes::FillSlot(ProgramSet& set, int index, const data::LaneBatch& batch) {
  const engine::ProgramPlan& plan = set.programs[static_cast<size_t>(index)].program->plan();
  Slot& slot = set.slots[set.next_slot++ % set.slots.size()];
  Await(*slot.uploaded);
  for (size_t f = 0; f < batch.fields.size(); ++f) {
    const graph::ValueId input = plan.Input(batch.fields[f].name);
    if (input == graph::kNoValue) continue;
    const DType type = batch.fields[f].dtype, expected = plan.graph.value(input).dtype;
    CHECK(type == expected, "{} is {}, not {}", batch.fields[f].name, Name(type), Name(expected));
    std::memcpy(slot.pinned->data() + plan.input_offset[static_cast<size_t>(input)], batch.data[f],
                static_cast<size_t>(batch.fields[f].shape.size() * SizeOf(type)));
  }
  return slot;
}

void DeviceLanes::SendUp(Slot& slot) {
  copies_->Wait(*slot.taken);
  copies_->Copy(slot.staging->data(), slot.pinned->data(), slot.pinned->size());
  copies_->Record(*slot.uploaded);
}

/// The slot's content to the program's inputs, in the lanes' stream. In training a fold step stands behind them.
void DeviceLanes::TakeInputs(Slot& slot, Captured& captured, bool training) {
  DeviceStream& stream = *kit_.stream;
  stream.Wait(*slot.uploaded);
  stream.Copy(captured.inputs->data(), slot.staging->data(), captured.inputs->size());
  if (training) stream.Copy(fold_step_->data(), slot.staging->data() + fold_offset_, sizeof(optim::FoldStep));
  stream.Record(*slot.taken);
}

void DeviceLanes::CopyResults(const Captured& captured, int64_t* to) {
  const graph::Graph& graph = captured.program->plan().graph;
  const auto copy = [&](graph::ValueId id) { kit_.stream->Copy(to++, captured.program->Address(id), sizeof(int64_t)); };
  for (const graph::Loss& loss : graph.losses) copy(loss.sum);
  for (const graph::Counter& counter : graph.counters) copy(counter.count);
}

/// Waits for the batch of (step, lane) and sends it up, with all that its program reads.
DeviceLanes::Staged DeviceLanes::Stage(uint64_t step, int lane, data::Loader& loader) {
  ExecutorPhase phase(recorder_, 0);
  phase.Enter(comm::Phase::LOADING_BATCH);
  const auto asked = steady_clock::now();
  const data::LaneBatch* batch = loader.Acquire(step, lane);
  load_seconds_ += std::chrono::duration<double>(steady_clock::now() - asked).count();
  phase.Enter(comm::Phase::COMPUTING);
  const int index = plans_.TrainProgram(step, batch->samples.shape);
  Slot& slot = FillSlot(train_, index, *batch);
  graph::StepBlock block;
  block.seed = seed_;
  block.step = step;
  block.first_sample = batch->samples.first_position;
  SetLossScales(batch->denominators, plans_.train[static_cast<size_t>(index)]->graph.losses, block);
  const Staged staged = {step, &slot, index, batch->delivery};
  loader.Release(batch);
  const engine::ProgramPlan& plan = *plans_.train[static_cast<size_t>(index)];
  if (plan.step_block_offset >= 0) std::memcpy(slot.pinned->data() + plan.step_block_offset, &block, sizeof(block));
  std::memcpy(slot.pinned->data() + fold_offset_, &fold_[static_cast<size_t>(lane - lanes_.begin)],
              sizeof(optim::FoldStep));
  SendUp(slot);
  return staged;
}

int64_t* DeviceLanes::ResultsOf(uint64_t step, int lane) const {
  return results_[step % 2]->As<int64_t>() +
         static_cast<size_t>(lane - lanes_.begin) * ResultCount(plans_.train.front()->graph);
}

/// Enqueues the lane whose batch is on its way up.
void DeviceLanes::RunLane(const Staged& staged, int lane) {
  Captured& captured = train_.programs[static_cast<size_t>(staged.index)];
  PackIfDue(captured);
  TakeInputs(*staged.slot, captured, /*training=*/true);
  const bool adds = captured.run_adding != nullptr &&
                    fold_[static_cast<size_t>(lane - lanes_.begin)].added == optim::FoldStep::Added::kSecond;
  kit_.stream->Run(adds ? *captured.run_adding : *captured.run);
  CopyResults(captured, ResultsOf(staged.step, lane));
}

void DeviceLanes::RunFirst(DeviceEvent& updated) {
  CHECK(next_ && !next_->enqueued);
  kit_.stream->Wait(updated);
  SetPacksDue(train_);
  RunLane(*next_, lanes_.begin);
  next_->enqueued = true;
}

DeviceEvent& DeviceLanes::Finish() {
  kit_.stream->Record(*finished_);
  return *finished_;
}

void DeviceLanes::RunStep(const StepWork& work) {
  CHECK(!next_ || next_->step == work.step);
  load_seconds_ = 0;
  if (!next_ || !next_->enqueued) SetPacksDue(train_);
  for (int lane = lanes_.begin; lane < lanes_.end; ++lane) {
    const auto index = static_cast<size_t>(lane - lanes_.begin);
    const Staged staged = next_ ? *next_ : Stage(work.step, lane, *work.loader);
    next_.reset();
    work.records[index].delivery = staged.delivery;
    if (!staged.enqueued) RunLane(staged, lane);
  }
  Finish();
}

void DeviceLanes::ReadResults(uint64_t step, std::span<LaneRecord> records) const {
  const graph::Graph& graph = plans_.train.front()->graph;
  for (size_t index = 0; index < records.size(); ++index) {
    const data::LaneDelivery delivery = records[index].delivery;
    records[index] = ReadRecord(graph, ResultsOf(step, lanes_.begin + static_cast<int>(index)));
    records[index].delivery = delivery;
  }
}

LaneRecord DeviceLanes::Evaluate(const data::LaneBatch& block) {
  Captured& captured = evaluate_.programs[static_cast<size_t>(block.samples.shape)];
  PackIfDue(captured);
  Slot& slot = FillSlot(evaluate_, block.samples.shape, block);
  SendUp(slot);
  TakeInputs(slot, captured, /*training=*/false);
  kit_.stream->Run(*captured.run);
  CopyResults(captured, evaluated_results_->As<int64_t>());
  Await(Finish());
  if (recorder_ != nullptr) recorder_->Progress();
  evaluated_ = captured.program.get();
  return ReadRecord(captured.program->plan().graph, evaluated_results_->As<int64_t>());
}

std::span<const std::byte> DeviceLanes::Output(const std::string& name) {
  const std::span<const std::byte> there = evaluated_->output(name);
  if (output_ == nullptr || output_->size() < there.size()) output_ = kit_.device->AllocatePinned(there.size());
  kit_.stream->Copy(output_->data(), there.data(), there.size());
  Await(Finish());
  return {output_->data(), there.size()};
}

}  // namespace lockstep::step
