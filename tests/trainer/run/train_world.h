// A small job for the whole trainer with threads as ranks, and what a run left behind.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "tests/base/temporary_folder.h"
#include "trainer/run/job.h"
#include "trainer/run/start.h"

namespace lockstep::run {

/// What to train, as recipes say it in protobuf text.
struct TrainSetup {
  std::string train = "steps: 12 global_batch: 24 lanes: 8";
  std::string optimizer = "sgd { momentum: 0.9 } learning_rate: 0.05";
  std::string model = "mlp { hidden: 40 hidden: 24 }";
  std::string data = {};  ///< besides the splits
  std::string checkpoint = {};
  std::function<void(Job&)> change = {};  ///< the last word on each rank's job
};

/// The job of `setup`: 150 synthetic samples of 20 features, 70 to test on.
Job MakeSmallJob(const TrainSetup& setup, comm::Communicator& comm);
/// How an attempt of it is started in `folder`, whatever run that holds.
Start MakeSmallStart(const Job& job, const std::string& folder);

struct TrainOutcome {
  std::string line;                                  ///< the done line
  std::string weights;                               ///< its hash of the weights
  std::map<std::string, std::vector<float>> arrays;  ///< of the last checkpoint
  std::string loop_state;                            ///< of the last checkpoint, serialised
  std::vector<std::string> metrics;                  ///< rows without what depends on time
};

/// Trains in `folder` on threads; `ranks_per_host` as in LocalWorldOptions.
TrainOutcome TrainOnThreads(const TrainSetup& setup, int ranks, const std::string& folder,
                            std::vector<int> ranks_per_host = {}, int executors = 1,
                            FileSystem& files = FileSystem::Real());
/// What the run in `folder` left behind.
TrainOutcome OutcomeOf(const std::string& folder, const std::string& line);
/// The same, bit for bit.
void ExpectEqual(const TrainOutcome& a, const TrainOutcome& b);

}  // namespace lockstep::run
