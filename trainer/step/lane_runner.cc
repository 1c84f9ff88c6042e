#include "trainer/step/lane_runner.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "trainer/step/loss_scales.h"

namespace lockstep::step {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

LaneRecord ResultsOf(const engine::Program& program) {
  LaneRecord record;
  const graph::Graph& graph = program.plan().graph;
  CHECK(graph.losses.size() <= std::size(record.losses) && graph.counters.size() <= std::size(record.counters));
  for (size_t i = 0; i < graph.losses.size(); ++i)
    record.losses[i] = double{graph.losses[i].weight} * program.loss(static_cast<int>(i));
  for (size_t i = 0; i < graph.counters.size(); ++i) record.counters[i] = program.counter(static_cast<int>(i));
  return record;
}

}  // namespace

LaneRunner::LaneRunner(const LanePrograms& model, comm::Exchange& exchange, comm::FlightRecorder* recorder,
                       int executor, LaneRange lanes)
    : model_(model),
      exchange_(exchange),
      recorder_(recorder),
      executor_(executor),
      lanes_(lanes),
      fold_(model.lanes, exchange.piece_nodes(executor), exchange.pieces(executor), model.plans.layout.elements(),
            exchange.wire()) {
  size_t arena = 0, workspace = 0;
  for (const ProgramSet* set : {&model.train, &model.evaluate})
    for (const auto& plan : set->plans) {
      arena = std::max(arena, static_cast<size_t>(plan->memory.bytes));
      workspace = std::max(workspace, plan->workspace_bytes);
    }
  arena_ = Buffer(arena);
  workspace_ = Buffer(workspace);
  for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket)
    buckets_.push_back(exchange.slices().bucket(bucket));
  if (plan::WritesIntoPiece(lanes, exchange.wire())) target_ = fold_.DirectTarget(lanes.begin);
  if (target_ == nullptr) {
    gradients_ = Buffer(static_cast<size_t>(model.plans.layout.elements()) * sizeof(float));
    target_ = gradients_.As<float>().data();
  }
  train_.resize(model.train.plans.size());
  evaluate_.resize(model.evaluate.plans.size());
  if (train_.size() == 1) Prepared(train_, model.train, 0, target_);
  if (evaluate_.size() == 1) Prepared(evaluate_, model.evaluate, 0, nullptr);
}

engine::Program& LaneRunner::Prepared(Programs& programs, const ProgramSet& set, int number, float* gradients) {
  const auto index = static_cast<size_t>(number);
  if (programs[index] == nullptr) {
    engine::Program::Bindings bindings;
    bindings.parameters = exchange_.weights().data();
    bindings.gradients = gradients;
    bindings.packed = set.packed[index].get();
    bindings.arena = {arena_.data(), arena_.size()};
    bindings.workspace = {workspace_.data(), workspace_.size()};
    programs[index] =
        std::make_unique<engine::Program>(set.plans[index], model_.plans.layout, model_.backend, bindings);
  }
  return *programs[index];
}

void LaneRunner::Fill(engine::Program& program, const data::LaneBatch& batch) {
  for (size_t f = 0; f < batch.fields.size(); ++f) {
    const std::span<std::byte> input = program.input(batch.fields[f].name);
    if (input.empty()) continue;
    std::memcpy(input.data(), batch.data[f],
                static_cast<size_t>(batch.fields[f].shape.size() * SizeOf(batch.fields[f].dtype)));
  }
}

/// The program of the lane's batch, with the batch in it.
engine::Program& LaneRunner::FillNext(const StepInputs& inputs, int lane, ExecutorPhase& phase,
                                      data::LaneDelivery& delivery) {
  profile::EventLog* log = inputs.log;
  if (log != nullptr) log->Enter(inputs.step, lane);
  phase.Enter(comm::Phase::LOADING_BATCH);
  const auto asked = std::chrono::steady_clock::now();
  const int64_t waiting_ns = log == nullptr ? 0 : profile::EventLog::Now();
  const data::LaneBatch* batch = inputs.loader.Acquire(inputs.step, lane);
  times_.data += SecondsSince(asked);
  const int64_t filling_ns = log == nullptr ? 0 : log->Lap(profile::What::kSamples, -1, waiting_ns);
  phase.Enter(comm::Phase::COMPUTING);
  const int index = model_.plans.TrainProgram(inputs.step, batch->samples.shape);
  engine::Program& program = Prepared(train_, model_.train, index, target_);
  Fill(program, *batch);
  graph::StepBlock& block = program.step_block();
  block.seed = inputs.seed;
  block.step = inputs.step;
  block.first_sample = batch->samples.first_position;
  SetLossScales(batch->denominators, program.plan().graph.losses, block);
  delivery = batch->delivery;
  if (log != nullptr) {
    log->Enter(inputs.step, lane, index);
    log->Lap(profile::What::kInputs, -1, filling_ns);
  }
  inputs.loader.Release(batch);
  return program;
}

void LaneRunner::RunStep(const StepInputs& inputs, std::span<LaneRecord> records) {
  const auto begin = std::chrono::steady_clock::now();
  times_ = {};
  for (int lane = lanes_.begin; lane < lanes_.end; ++lane) {
    const profile::EventScope all(inputs.log, profile::What::kLane);
    ExecutorPhase phase(recorder_, executor_);
    LaneRecord& record = records[static_cast<size_t>(lane - lanes_.begin)];
    data::LaneDelivery delivery;
    engine::Program& program = FillNext(inputs, lane, phase, delivery);
    const bool last = lane + 1 == lanes_.end;
    const auto run = std::chrono::steady_clock::now();
    program.Run(
        [&](int bucket) {
          const ElementRange range = buckets_[static_cast<size_t>(bucket)];
          fold_.Add(lane, range.begin, range.end, target_);
          if (last) exchange_.PieceReady(executor_, bucket);
        },
        inputs.log);
    times_.forward += program.forward_seconds();
    times_.backward += SecondsSince(run) - program.forward_seconds();
    record = ResultsOf(program);
    record.delivery = delivery;
  }
  times_.lanes = SecondsSince(begin);
}

LaneRecord LaneRunner::Evaluate(const data::LaneBatch& block) {
  engine::Program& program = Prepared(evaluate_, model_.evaluate, block.samples.shape, nullptr);
  Fill(program, block);
  program.Run(nullptr);
  evaluated_ = &program;
  if (recorder_ != nullptr) recorder_->Progress();
  return ResultsOf(program);
}

}  // namespace lockstep::step
