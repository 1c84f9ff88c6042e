#include "trainer/evaluate/evaluator.h"

#include <algorithm>
#include <atomic>
#include <numbers>

#include "base/error.h"
#include "base/stop_signals.h"
#include "comm/agreement.h"
#include "data/batches/block_reader.h"
#include "data/batches/blocks.h"

namespace lockstep::evaluate {

Evaluator::Evaluator(Options options)
    : options_(std::move(options)),
      blocks_(std::make_shared<data::Blocks>(*options_.dataset, *options_.transform, options_.shapes)) {
  const uint64_t size = options_.dataset->size();
  if (options_.task == metrics::Task::kLanguageModel) text_bytes_ = options_.dataset->TextBytes(0, size);
  if (options_.dataset->uniform_labels()) {
    labels_ = data::AllLosses(size * options_.dataset->labels(0, 0));
    return;
  }
  data::SampleSize sample;
  for (uint64_t id = 0; id < size; ++id) {
    options_.dataset->Measure(0, id, sample);
    const data::LossCounts counts = options_.transform->Count(sample, 0, id, /*augment=*/false);
    for (size_t i = 0; i < counts.size(); ++i) labels_[i] += counts[i];
  }
}

Evaluator::Deal Evaluator::DealBlocks(int rank) const {
  Deal deal;
  for (size_t other = 0; other < options_.executors.size(); ++other) {
    if (other == static_cast<size_t>(rank)) deal.first = deal.all;
    deal.all += options_.executors[other];
  }
  deal.most = *std::max_element(options_.executors.begin(), options_.executors.end());
  deal.rounds = (blocks_->count() + deal.all - 1) / deal.all;
  return deal;
}

void Evaluator::RunBlock(int executor, int64_t block, step::ForwardCompute& compute, BlockRecord& record) {
  const data::LaneBatch& batch = readers_[static_cast<size_t>(executor)]->Read(block);
  record.lane = compute.Evaluate(executor, batch);
  if (!options_.scorer) return;
  const auto output = [&](const std::string& name) { return compute.Output(executor, name); };
  options_.scorer->Score(executor, batch, output, record.scores);
}

std::optional<std::vector<Evaluator::BlockRecord>> Evaluator::RunBlocks(const Deal& deal, const std::string& what,
                                                                        step::ForwardCompute& compute) {
  comm::Communicator& comm = compute.comm();
  step::ExecutorPool& pool = compute.executors().pool();
  while (readers_.size() < static_cast<size_t>(pool.size()))
    readers_.push_back(
        std::make_unique<data::BlockReader>(options_.dataset, options_.transform, blocks_, options_.rounded));
  std::vector<BlockRecord> mine(deal.records());
  if (options_.scorer) options_.scorer->Begin();
  std::atomic<bool> abandoned = false;
  std::atomic<int64_t> done = 0;
  const step::IdleBehind idle(pool);
  pool.Start([&](int e) {
    for (int64_t round = 0; round < deal.rounds; ++round) {
      const int64_t block = round * deal.all + deal.first + e;
      if (block >= blocks_->count() || StopSignal() != 0 || abandoned) break;
      RunBlock(e, block, compute, mine[static_cast<size_t>(round * deal.most + e)]);
      ++done;
    }
  });
  try {
    const double all = static_cast<double>(deal.rounds * pool.size());
    comm.WaitUntil(
        [&] {
          if (options_.on_progress) options_.on_progress(static_cast<double>(done) / all);
          return pool.Finished();
        },
        what);
  } catch (...) {
    abandoned = true;
    throw;
  }
  if (comm::AnyRank(comm, StopSignal() != 0, what)) return std::nullopt;
  return mine;
}

std::vector<metrics::Metric> Evaluator::AddUp(const Deal& deal, const std::vector<BlockRecord>& records) const {
  metrics::EvaluationSum sum(options_.task, options_.counters);
  Scores scores;
  for (int64_t block = 0; block < blocks_->count(); ++block) {
    int executor = static_cast<int>(block % deal.all);
    size_t rank = 0;
    while (executor >= options_.executors[rank]) executor -= options_.executors[rank++];
    const BlockRecord& record =
        records[deal.records() * rank + static_cast<size_t>(block / deal.all * deal.most + executor)];
    sum.Add({record.lane.losses, options_.losses}, {record.lane.counters, options_.counters.size()});
    scores.Add(record.scores);
  }
  std::vector<metrics::Metric> results = sum.Result(labels_);
  if (text_bytes_ > 0) {
    const double nats = results.front().value * static_cast<double>(labels_[0]);
    results.push_back({"bits_per_byte", nats / std::numbers::ln2 / static_cast<double>(text_bytes_)});
  }
  if (options_.scorer) {
    const std::vector<metrics::Metric> scored = options_.scorer->Result(scores);
    results.insert(results.end(), scored.begin(), scored.end());
  }
  return results;
}

std::optional<checkpoint::Evaluation> Evaluator::Evaluate(uint64_t step, step::ForwardCompute& compute) {
  comm::Communicator& comm = compute.comm();
  const std::string what = fmt::format("the evaluation at step {}", step);
  const Deal deal = DealBlocks(comm.rank());
  const std::optional<std::vector<BlockRecord>> mine = RunBlocks(deal, what, compute);
  if (!mine) return std::nullopt;
  if (options_.scorer) options_.scorer->Share(comm);
  std::vector<BlockRecord> all(mine->size() * static_cast<size_t>(comm.world_size()));
  comm.Wait(*comm.AllGather(std::as_bytes(std::span(*mine)), std::as_writable_bytes(std::span(all))), what);
  checkpoint::Evaluation evaluation;
  evaluation.set_split(options_.split);
  evaluation.set_step(step);
  for (const metrics::Metric& metric : AddUp(deal, all))
    if (metric.name == "loss")
      evaluation.set_loss(metric.value);
    else
      (*evaluation.mutable_metrics())[metric.name] = metric.value;
  return evaluation;
}

}  // namespace lockstep::evaluate
