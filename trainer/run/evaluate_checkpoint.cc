#include "trainer/run/evaluate_checkpoint.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/files/file.h"
#include "trainer/checkpoint/same_tensors.h"
#include "trainer/evaluate/evaluations.h"
#include "trainer/plan/job_plans.h"
#include "trainer/run/core_messages.h"
#include "trainer/run/progress/reporter.h"
#include "trainer/step/executors.h"
#include "trainer/step/make_compute.h"

namespace lockstep::run {

ResultLine EvaluateCheckpoint(const Job& job, const std::string& folder, const EvaluationProgress::Options& shown) {
  FileSystem& files = FileSystem::Real();
  const auto lanes = static_cast<int>(job.config.train.lanes());
  if (job.place.comm->world_size() > lanes)
    throw Error(ErrorKind::kUsage,
                fmt::format("{} ranks are more than the {} lanes", job.place.comm->world_size(), lanes), "train.lanes",
                "evaluate on fewer ranks");
  const plan::JobPlans plans =
      plan::CompileJob(job.config, job.splits, job.model, *job.place.backend, job.place.comm->world_size());
  step::Executors executors(*job.place.comm, job.config.train, AgreeOnCores(job, std::max(1, job.place.executors)));
  const std::unique_ptr<step::ForwardCompute> compute =
      step::MakeForwardCompute({job.config, *job.splits.batches, job.place, plans, executors});
  const auto reader = checkpoint::OpenPath(files, folder);
  const std::span<float> weights = compute->weights();
  checkpoint::RequireSameTensors(*reader, plans.layout);
  reader->Read(reader->EvaluatedArray(), 0, weights);
  compute->Store();

  const auto start = std::chrono::steady_clock::now();
  ResultLine line;
  line.verb = "eval";
  line.name = job.config.name;
  line.step = reader->manifest().step();
  line.epoch = EpochsTrained(job.splits.length, line.step, job.config.train.epochs());
  EvaluationProgress progress(shown);
  evaluate::Evaluations evaluations(job.splits, job.model.task, job.make_scorer, *compute,
                                    [&](const std::string& split, double share) { progress.Show(split, share); });
  line.evaluation = evaluations.Evaluate(job.splits.reported_name(), line.step).value();
  progress.End();
  line.weights = engine::HashWeights(plans.layout, weights.data());
  line.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  line.samples_per_s = static_cast<double>(job.splits.reported()->size()) / line.seconds;
  if (job.model.task == metrics::Task::kLanguageModel)
    line.tokens_per_s = line.samples_per_s * static_cast<double>(job.splits.reported()->labels(0, 0));
  return line;
}

}  // namespace lockstep::run
