// A Job: everything that a rank needs to train, put together by launch: configurations, data, model, backend,
// communicator.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "comm/communicator.h"
#include "comm/watchdog.pb.h"
#include "data/batches.h"
#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "trainer/checkpoint/checkpoint_config.pb.h"
#include "trainer/engine/backend.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/graph/builder.h"
#include "trainer/metrics/metrics.h"
#include "trainer/optim/optimizer.pb.h"
#include "trainer/plan/train.pb.h"

namespace lockstep::step {
struct DeviceKit;
class CompiledModel;
}  // namespace lockstep::step
namespace lockstep::evaluate {
class Scorer;
}  // namespace lockstep::evaluate

namespace lockstep::plan {

/// What launch knows of recipes and the loop does not.
struct RecipeText {
  std::string resolved;  ///< the resolved recipe, as text: goes into the run folder
  std::string identity;  ///< the part of it that decides the weights, as text: compared between ranks and at resume
  /// Throws Error(kUsage) naming the fields in which the run folder's recipe forbids this one to continue it. With
  /// `change_numerics`, those that only decide how it is computed may differ.
  std::function<void(const std::string& recipe_in_folder, bool change_numerics)> check_continues;
  /// The names of the fields in which two identities differ.
  std::function<std::string(const std::string& a, const std::string& b)> describe_difference;
};

struct Splits {
  std::shared_ptr<const data::Dataset> train, validation, test;  ///< the latter two may be null
  std::shared_ptr<const data::Transform> transform;
  std::shared_ptr<const data::Batches> batches;  ///< of training

  /// The split that the last line reports on, and its name.
  const std::shared_ptr<const data::Dataset>& reported() const { return test ? test : train; }
  const char* reported_name() const { return test ? "test" : "train"; }
};

/// Weights that a run begins with instead of random ones: writes them over those in the parameter arena.
using InitialWeights = std::function<void(const engine::ParameterLayout&, float* arena)>;

struct Job {
  std::string name;
  std::string folder;  ///< of the run
  RecipeText recipe;
  TrainConfig train;
  data::DataConfig data;
  optim::OptimizerConfig optimizer;
  checkpoint::CheckpointConfig checkpoint;

  Splits splits;
  metrics::Task task{};
  /// What scores answers to a split, called once for each; null: losses and counters say all.
  std::function<std::shared_ptr<evaluate::Scorer>(std::shared_ptr<const data::Dataset> split,
                                                  step::CompiledModel& session)>
      make_scorer;
  std::function<graph::Model(graph::Mode mode, const data::BatchShape& shape)> build_model;
  std::shared_ptr<engine::Backend> backend;  ///< the device's, where there is one
  std::shared_ptr<step::DeviceKit> device;   ///< what this rank computes on; null: the host's cores
  comm::Communicator* comm = nullptr;
  std::string backend_version;     ///< of the library behind it: part of the numerics fingerprint
  InitialWeights initial_weights;  ///< null: random

  int executors = 0;             ///< as given on the command line; 0: by cores
  bool fresh = false;            ///< move an old run aside
  bool accept_build = false;     ///< continue a run that another build of lockstep began
  bool change_numerics = false;  ///< device, precision, instruction set or lanes may change where a run goes on
  bool quiet = false;            ///< no progress
  bool terminal = false;         ///< draw a progress bar
  std::optional<std::chrono::system_clock::time_point> stop_before;  ///< the end of the job's time
  comm::WatchdogConfig watchdog;
  /// Says the error and ends the process, from any thread: for a rank whose main thread is stuck.
  std::function<void(const Error&)> end_stuck;
  FileSystem* files = &FileSystem::Real();  ///< of the run folder
  double grace_seconds = 0;                 ///< between a signal to stop and the end, where known; 0: unknown
};

/// Tokens (of speech: frames) that step `step` trains on, without padding; 0 where samples are none.
uint64_t TokensOf(const Job& job, uint64_t step);

/// Steps of the whole run: `steps`, or the whole ones in `epochs` epochs. Throws Error(kUsage) where there are none.
uint64_t TotalSteps(const TrainConfig& config, const data::Batches& batches);

}  // namespace lockstep::plan
