#include "trainer/run/evaluate_checkpoint.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/lane_tree.h"
#include "trainer/checkpoint/same_tensors.h"
#include "trainer/evaluate/evaluations.h"
#include "trainer/plan/job_plans.h"
#include "trainer/run/reporter.h"
#include "trainer/step/compiled_model.h"

namespace lockstep::run {

std::string EvaluateCheckpoint(const plan::Job& job, const std::string& folder) {
  FileSystem& files = FileSystem::Real();
  const auto lanes = static_cast<int>(job.train.lanes());
  if (job.comm->world_size() > lanes)
    throw Error(ErrorKind::kUsage, fmt::format("{} ranks are more than the {} lanes", job.comm->world_size(), lanes),
                "train.lanes", "evaluate on fewer ranks");
  std::vector<int> executors;
  for (const LaneRange& run : DealLanes(lanes, job.comm->world_size()))
    executors.push_back(std::clamp(job.executors, 1, run.size()));
  step::CompiledModel session(job, plan::CompileJob(job, job.comm->world_size()), executors);
  const auto reader = checkpoint::OpenPath(files, folder);
  const std::span<float> weights = session.compute().weights();
  checkpoint::RequireSameTensors(*reader, session.layout());
  reader->Read(reader->EvaluatedArray(), 0, weights);
  session.compute().Store();

  const auto start = std::chrono::steady_clock::now();
  ResultLine line;
  line.verb = "eval";
  line.name = job.name;
  line.step = reader->manifest().step();
  line.epoch =
      static_cast<uint64_t>(std::ceil(static_cast<double>(line.step) / plan::LengthOf(job).steps_per_epoch - 1e-9));
  line.evaluation = evaluate::Evaluations(job, session).Evaluate(job.splits.reported_name(), line.step).value();
  line.weights = engine::HashWeights(session.layout(), weights.data());
  line.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  line.samples_per_s = static_cast<double>(job.splits.reported()->size()) / line.seconds;
  if (job.task == metrics::Task::kLanguageModel)
    line.tokens_per_s = line.samples_per_s * static_cast<double>(job.splits.reported()->labels(0, 0));
  return Format(line);
}

}  // namespace lockstep::run
