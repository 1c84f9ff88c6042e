// What a recipe says of a run, resolved, by who reads it; and which run that makes it.
#pragma once

#include <string>

#include "comm/watchdog.pb.h"
#include "data/data.pb.h"
#include "trainer/checkpoint/checkpoint_config.pb.h"
#include "trainer/optim/optimizer.pb.h"
#include "trainer/plan/run_identity.h"
#include "trainer/plan/train.pb.h"

namespace lockstep::plan {

struct RunConfig {
  std::string name;
  RunIdentity identity;
  TrainConfig train;
  data::DataConfig data;
  optim::OptimizerConfig optimizer;
  checkpoint::CheckpointConfig checkpoint;
  comm::WatchdogConfig watchdog;
  MetricsConfig metrics;
  ProfileConfig profile;
};

}  // namespace lockstep::plan
