// Evaluation: a split is cut into fixed blocks, dealt to all executors of all ranks, and block results are added in
// block order. So metrics are bit-equal at any number of ranks, and may steer the run.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/batches/block_reader.h"
#include "data/batches/blocks.h"
#include "data/batches/loader.h"
#include "trainer/checkpoint/checkpoint.pb.h"
#include "trainer/evaluate/scorer.h"
#include "trainer/metrics/metrics.h"
#include "trainer/step/compute.h"

namespace lockstep::evaluate {

class Evaluator {
 public:
  struct Options {
    std::string split;  ///< "test"
    std::shared_ptr<const data::Dataset> dataset;
    std::shared_ptr<const data::Transform> transform;
    std::vector<data::BatchShape> shapes;   ///< of blocks: those of the evaluation programs
    std::vector<std::string> rounded = {};  ///< fields that these programs read in bf16
    std::vector<int> executors;             ///< of each rank
    metrics::Task task{};
    size_t losses = 1;                  ///< of the evaluation program
    std::vector<std::string> counters;  ///< of it, in order
    std::shared_ptr<Scorer> scorer;     ///< may be null
    /// Told on the communicating thread, often, which share of this rank's blocks is done; may be null.
    std::function<void(double share)> on_progress = nullptr;
  };
  explicit Evaluator(Options options);

  /// Collective, on the communicating thread, after compute.PrepareEvaluation(). Nothing where a rank was asked to stop
  /// (base/stop_signals.h) meanwhile.
  std::optional<checkpoint::Evaluation> Evaluate(uint64_t step, step::ForwardCompute& compute);

 private:
  /// What an evaluation knows of a block. Plain data: travels as bytes.
  struct BlockRecord {
    step::LaneRecord lane;
    Scores scores;
  };
  /// Which executor of which rank has which block: block b goes to executor b mod all executors, counted over ranks.
  /// Each rank sends `most` blocks a round, in ascending order.
  struct Deal {
    int first = 0, all = 0, most = 0;  ///< this rank's first executor; executors of all ranks, and of the largest
    int64_t rounds = 0;

    size_t records() const { return static_cast<size_t>(rounds * most); }
  };

  Deal DealBlocks(int rank) const;
  /// This rank's blocks; nothing where a rank was asked to stop.
  std::optional<std::vector<BlockRecord>> RunBlocks(const Deal& deal, const std::string& what,
                                                    step::ForwardCompute& compute);
  void RunBlock(int executor, int64_t block, step::ForwardCompute& compute, BlockRecord& record);
  /// Of the records of all ranks.
  std::vector<metrics::Metric> AddUp(const Deal& deal, const std::vector<BlockRecord>& records) const;

  Options options_;
  std::shared_ptr<const data::Blocks> blocks_;
  data::LossCounts labels_ = {};                             ///< of the split: what sums are divided by
  uint64_t text_bytes_ = 0;                                  ///< that a language model's labels stand for; 0: unknown
  std::vector<std::unique_ptr<data::BlockReader>> readers_;  ///< by executor of this rank
};

}  // namespace lockstep::evaluate
