#include "trainer/loop/lane_runner.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "trainer/loop/executor_phase.h"

namespace lockstep::loop {
namespace {

LaneRecord ResultsOf(const engine::Program& program) {
  LaneRecord record;
  const graph::Graph& graph = program.plan().graph;
  CHECK(graph.losses.size() <= std::size(record.losses) && graph.counters.size() <= std::size(record.counters));
  for (size_t i = 0; i < graph.losses.size(); ++i) record.losses[i] = program.loss(static_cast<int>(i));
  for (size_t i = 0; i < graph.counters.size(); ++i) record.counters[i] = program.counter(static_cast<int>(i));
  return record;
}

}  // namespace

LaneRunner::LaneRunner(const LanePrograms& model, const engine::ParameterLayout& layout, engine::Backend& backend,
                       comm::Exchange& exchange, comm::FlightRecorder* recorder, int executor, LaneRange lanes,
                       int all_lanes)
    : exchange_(exchange),
      recorder_(recorder),
      executor_(executor),
      lanes_(lanes),
      arena_(static_cast<size_t>(std::max(model.train->memory.bytes, model.evaluate->memory.bytes))),
      workspace_(std::max(model.train->workspace_bytes, model.evaluate->workspace_bytes)),
      fold_(all_lanes, exchange.piece_nodes(executor), exchange.pieces(executor), layout.elements()) {
  for (int bucket = 0; bucket < exchange.slices().buckets(); ++bucket)
    buckets_.push_back(exchange.slices().bucket(bucket));
  // An executor with one lane needs no fold: its program writes into the piece.
  target_ = lanes.size() == 1 ? fold_.DirectTarget(lanes.begin) : nullptr;
  if (target_ == nullptr) {
    gradients_ = Buffer(static_cast<size_t>(layout.elements()) * sizeof(float));
    target_ = gradients_.As<float>().data();
  }
  const std::span<std::byte> arena{arena_.data(), arena_.size()}, workspace{workspace_.data(), workspace_.size()};
  const float* weights = exchange.weights().data();
  train_ = std::make_unique<engine::Program>(
      model.train, layout, backend, engine::Program::Bindings{weights, target_, model.packed_train, arena, workspace});
  evaluate_ = std::make_unique<engine::Program>(
      model.evaluate, layout, backend,
      engine::Program::Bindings{weights, nullptr, model.packed_evaluate, arena, workspace});
}

void LaneRunner::Fill(engine::Program& program, const data::LaneBatch& batch) {
  for (size_t f = 0; f < batch.fields.size(); ++f) {
    const std::span<std::byte> input = program.input(batch.fields[f].name);
    if (input.empty()) continue;
    std::memcpy(input.data(), batch.data[f],
                static_cast<size_t>(batch.fields[f].shape.size() * SizeOf(batch.fields[f].dtype)));
  }
}

void LaneRunner::RunStep(uint64_t seed, uint64_t step, data::Loader& loader, std::span<LaneRecord> records) {
  graph::StepBlock& block = train_->step_block();
  block.seed = seed;
  block.step = step;
  const auto begin = std::chrono::steady_clock::now();
  const auto since = [](auto start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  load_seconds_ = 0;
  for (int lane = lanes_.begin; lane < lanes_.end; ++lane) {
    ExecutorPhase phase(recorder_, executor_);
    phase.Enter(comm::Phase::LOADING_BATCH);
    const auto asked = std::chrono::steady_clock::now();
    const data::LaneBatch* batch = loader.Acquire(step, lane);
    load_seconds_ += since(asked);
    phase.Enter(comm::Phase::COMPUTING);
    Fill(*train_, *batch);
    block.first_sample = batch->first_position;
    block.loss_scale[0] = 1.0f / static_cast<float>(batch->denominator);
    const data::LaneDelivery delivery = batch->delivery;
    loader.Release(batch);

    const bool last = lane + 1 == lanes_.end;
    train_->Run([&](int bucket) {
      const comm::ElementRange range = buckets_[static_cast<size_t>(bucket)];
      fold_.Add(lane, range.begin, range.end, target_);
      if (last) exchange_.PieceReady(executor_, bucket);
    });
    LaneRecord& record = records[static_cast<size_t>(lane - lanes_.begin)];
    record = ResultsOf(*train_);
    record.delivery = delivery;
  }
  seconds_ = since(begin);
}

LaneRecord LaneRunner::Evaluate(const data::LaneBatch& block) {
  Fill(*evaluate_, block);
  evaluate_->Run(nullptr);
  if (recorder_ != nullptr) recorder_->Progress();
  return ResultsOf(*evaluate_);
}

}  // namespace lockstep::loop
