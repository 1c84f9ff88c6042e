// All that a rank works with in a run, in parts by who takes them: put together by launch.
#pragma once

#include "trainer/evaluate/scorer.h"
#include "trainer/plan/model_spec.h"
#include "trainer/plan/run_config.h"
#include "trainer/plan/splits.h"
#include "trainer/step/place.h"

namespace lockstep::run {

struct Job {
  plan::RunConfig config;
  plan::Splits splits;
  plan::ModelSpec model;
  evaluate::ScorerFactory make_scorer;  ///< null: losses and counters say all
  step::Place place;
};

}  // namespace lockstep::run
