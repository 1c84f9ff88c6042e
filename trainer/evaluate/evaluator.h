// Evaluation: a split is cut into fixed blocks, dealt to all executors of all ranks, and block results are added in
// block order. So metrics are bit-equal at any number of ranks, and may steer the run.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/loader.h"
#include "trainer/checkpoint/checkpoint.pb.h"
#include "trainer/evaluate/scorer.h"
#include "trainer/metrics/metrics.h"
#include "trainer/step/compute.h"
#include "trainer/step/executor_pool.h"

namespace lockstep::evaluate {

class Evaluator {
 public:
  struct Options {
    std::string split;  ///< "test"
    std::shared_ptr<const data::Dataset> dataset;
    std::shared_ptr<const data::Transform> transform;
    std::vector<data::BatchShape> shapes;  ///< of blocks: those of the evaluation programs
    std::vector<int> executors;            ///< of each rank
    metrics::Task task{};
    std::vector<std::string> counters;  ///< of the evaluation program, in order
    std::shared_ptr<Scorer> scorer;     ///< may be null
  };
  explicit Evaluator(Options options);

  /// Collective, on the communicating thread, after compute.PrepareEvaluation(). Nothing where a rank was asked to stop
  /// (run/stop.h) meanwhile.
  std::optional<checkpoint::Evaluation> Evaluate(uint64_t step, comm::Communicator& comm, step::ExecutorPool& pool,
                                                 step::Compute& compute);

 private:
  Options options_;
  std::shared_ptr<const data::Blocks> blocks_;
  int64_t labels_ = 0;                                       ///< of the split: what sums are divided by
  uint64_t text_bytes_ = 0;                                  ///< that a language model's labels stand for; 0: unknown
  std::vector<std::unique_ptr<data::BlockReader>> readers_;  ///< by executor of this rank
};

}  // namespace lockstep::evaluate
