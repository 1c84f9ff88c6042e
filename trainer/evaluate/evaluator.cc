#include "trainer/evaluate/evaluator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <numbers>

#include "base/error.h"
#include "base/stop_signals.h"
#include "comm/agreement.h"

namespace lockstep::evaluate {
namespace {

/// What an evaluation knows of a block. Plain data: travels as bytes.
struct BlockRecord {
  step::LaneRecord lane;
  std::array<int64_t, Scorer::kMostCounts> scores = {};
};

}  // namespace

Evaluator::Evaluator(Options options)
    : options_(std::move(options)),
      blocks_(std::make_shared<data::Blocks>(*options_.dataset, *options_.transform, options_.shapes)) {
  const auto size = static_cast<int64_t>(options_.dataset->size());
  if (options_.task == metrics::Task::kLanguageModel)
    text_bytes_ = options_.dataset->TextBytes(0, options_.dataset->size());
  if (options_.dataset->uniform_labels()) {
    labels_ = size * static_cast<int64_t>(options_.dataset->labels(0, 0));
    return;
  }
  for (int64_t id = 0; id < size; ++id)
    labels_ += static_cast<int64_t>(options_.dataset->labels(0, static_cast<uint64_t>(id)));
}

std::optional<checkpoint::Evaluation> Evaluator::Evaluate(uint64_t step, comm::Communicator& comm,
                                                          step::ExecutorPool& pool, step::Compute& compute) {
  while (readers_.size() < static_cast<size_t>(pool.size()))
    readers_.push_back(std::make_unique<data::BlockReader>(options_.dataset, options_.transform, blocks_));

  // Block b goes to executor b mod all executors, counted over ranks; each rank sends its blocks in ascending order.
  int first = 0, all = 0;
  for (int rank = 0; rank < comm.world_size(); ++rank) {
    if (rank == comm.rank()) first = all;
    all += options_.executors[static_cast<size_t>(rank)];
  }
  const int64_t rounds = (blocks_->count() + all - 1) / all;
  const int most = *std::max_element(options_.executors.begin(), options_.executors.end());
  std::vector<BlockRecord> mine(static_cast<size_t>(rounds * most));
  if (options_.scorer) options_.scorer->Begin();
  std::atomic<bool> abandoned = false;
  const step::IdleBehind idle(pool);
  pool.Start([&](int e) {
    for (int64_t round = 0; round < rounds; ++round) {
      const int64_t block = round * all + first + e;
      if (block >= blocks_->count() || StopSignal() != 0 || abandoned) break;
      BlockRecord& record = mine[static_cast<size_t>(round * most + e)];
      const data::LaneBatch& batch = readers_[static_cast<size_t>(e)]->Read(block);
      record.lane = compute.Evaluate(e, batch);
      if (options_.scorer)
        options_.scorer->Score(
            e, batch, [&](const std::string& name) { return compute.Output(e, name); }, record.scores);
    }
  });
  const std::string what = fmt::format("the evaluation at step {}", step);
  try {
    comm.WaitUntil([&] { return pool.Finished(); }, what);
  } catch (...) {
    abandoned = true;
    throw;
  }
  if (comm::AnyRank(comm, StopSignal() != 0, what)) return std::nullopt;
  std::vector<BlockRecord> gathered(mine.size() * static_cast<size_t>(comm.world_size()));
  comm.Wait(*comm.AllGather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(gathered))), what);

  metrics::EvaluationSum sum(options_.task, options_.counters);
  std::array<int64_t, Scorer::kMostCounts> scores = {};
  for (int64_t block = 0; block < blocks_->count(); ++block) {
    int executor = static_cast<int>(block % all), rank = 0;
    while (executor >= options_.executors[static_cast<size_t>(rank)])
      executor -= options_.executors[static_cast<size_t>(rank++)];
    const BlockRecord& record =
        gathered[mine.size() * static_cast<size_t>(rank) + static_cast<size_t>(block / all * most + executor)];
    sum.Add(record.lane.losses[0], {record.lane.counters, options_.counters.size()});
    for (size_t i = 0; i < scores.size(); ++i) scores[i] += record.scores[i];
  }
  checkpoint::Evaluation evaluation;
  evaluation.set_split(options_.split);
  evaluation.set_step(step);
  std::vector<metrics::Metric> results = sum.Result(labels_);
  if (text_bytes_ > 0) {
    const double nats = results.front().value * static_cast<double>(labels_);
    results.push_back({"bits_per_byte", nats / std::numbers::ln2 / static_cast<double>(text_bytes_)});
  }
  if (options_.scorer) {
    const std::vector<metrics::Metric> scored = options_.scorer->Result(scores);
    results.insert(results.end(), scored.begin(), scored.end());
  }
  for (const metrics::Metric& metric : results)
    if (metric.name == "loss")
      evaluation.set_loss(metric.value);
    else
      (*evaluation.mutable_metrics())[metric.name] = metric.value;
  return evaluation;
}

}  // namespace lockstep::evaluate
