#include "launch/estimate/time_ops.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "comm/local/local_communicator.h"
#include "launch/job/job_setup.h"
#include "trainer/plan/job_plans.h"
#include "trainer/plan/lane_plan.h"
#include "trainer/step/training.h"

namespace lockstep::launch {
namespace {

using profile::Event;
using profile::What;
using Clock = std::chrono::steady_clock;

constexpr int kWarmUp = 2, kLeastSteps = 3, kMostSteps = 200;

/// The lower quartile: what else runs on the machine makes some runs longer, none shorter.
double Typical(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto quarter = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 4);
  std::nth_element(values.begin(), quarter, values.end());
  return *quarter;
}

double SecondsOf(const Event& event) { return 1e-9 * static_cast<double>(event.end_ns - event.begin_ns); }

/// Room for the events of kMostSteps steps of one lane after the other.
profile::Recording RecordingFor(const plan::JobPlans& plans, int executors, int lanes) {
  const size_t of_lane = plans.train.front()->graph.ops.size() + plans.buckets.size() + 8;
  profile::Recording recording{profile::EventLog(kMostSteps * (plans.buckets.size() + 16)), {}};
  for (int e = 0; e < executors; ++e)
    recording.executors.emplace_back(of_lane * static_cast<size_t>(lanes) * kMostSteps);
  return recording;
}

size_t InputBytes(const plan::JobPlans& plans) { return plans.train.front()->input_bytes; }

/// Typical times over lanes and steps: of each op, of all folds of a lane, and of its inputs.
std::vector<TimedOp> TimesOf(const profile::Recording& recording, const plan::JobPlans& plans) {
  const graph::Graph& graph = plans.train.front()->graph;
  std::vector<std::vector<double>> ops(graph.ops.size());
  std::map<std::pair<uint64_t, int>, double> folds;  // by step and lane
  std::vector<double> inputs, packing;
  for (const profile::EventLog& log : recording.executors)
    for (const Event& event : log.events()) {
      if (event.what == What::kOp) ops[static_cast<size_t>(event.number)].push_back(SecondsOf(event));
      if (event.what == What::kFold) folds[{event.step, event.lane}] += SecondsOf(event);
      if (event.what == What::kInputs) inputs.push_back(SecondsOf(event));
    }
  for (const Event& event : recording.communicating.events())
    if (event.what == What::kPrepare) packing.push_back(SecondsOf(event));
  std::vector<TimedOp> times;
  for (size_t i = 0; i < ops.size(); ++i)
    if (!ops[i].empty()) times.push_back({WorkOf(graph, graph.ops[i]), Typical(std::move(ops[i]))});
  // An executor's first lane is copied, the others are added to it.
  double fold = 0;
  for (const auto& [lane, seconds] : folds) fold += seconds / static_cast<double>(folds.size());
  times.push_back({FoldWork(static_cast<double>(plans.layout.elements())), fold});
  times.push_back({InputWork(static_cast<double>(InputBytes(plans))), Typical(std::move(inputs))});
  const auto packed = static_cast<double>(plans.train.front()->packed_bytes);
  if (packed > 0) times.push_back({PackWork(packed), Typical(std::move(packing))});
  std::erase_if(times, [](const TimedOp& op) { return !(op.seconds > 0); });
  return times;
}

/// Of each step, what is not its slowest executor's lanes.
double BesideLanes(const profile::Recording& recording) {
  std::map<uint64_t, double> steps;
  for (const Event& event : recording.communicating.events())
    if (event.what == What::kStep) steps[event.step] += SecondsOf(event);
  std::map<uint64_t, double> slowest;
  for (const profile::EventLog& log : recording.executors) {
    std::map<uint64_t, double> lanes;
    for (const Event& event : log.events())
      if (event.what == What::kLane) lanes[event.step] += SecondsOf(event);
    for (const auto& [step, seconds] : lanes) slowest[step] = std::max(slowest[step], seconds);
  }
  std::vector<double> beside;
  for (const auto& [step, seconds] : steps) beside.push_back(std::max(0.0, seconds - slowest[step]));
  return Typical(std::move(beside));
}

}  // namespace

TimedTraining TimeOps(const Recipe& recipe, int executors, double seconds) {
  const auto world = comm::MakeLocalWorld({});
  const run::Job job = MakeJob(recipe, *world.front());
  plan::JobPlans plans = plan::CompileJob(job.config, job.splits, job.model, *job.place.backend, 1);
  const plan::JobPlans compiled = plans;
  plan::CoreShare share;
  share.executors = executors;
  profile::Recording recording = RecordingFor(plans, executors, static_cast<int>(job.config.train.lanes()));
  step::Training training({job.config, job.splits, job.model, job.place}, std::move(plans), {share});
  training.Initialize();
  training.StartLoader(kWarmUp + kMostSteps);
  const auto step = [&] { training.Step(/*want_norm=*/false, [](step::RankRecord&) {}); };
  for (int i = 0; i < kWarmUp; ++i) step();
  training.Record(&recording);
  const auto begin = Clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  for (int i = 0; i < kMostSteps && (i < kLeastSteps || passed() < seconds); ++i) step();
  training.Record(nullptr);
  return {TimesOf(recording, compiled), BesideLanes(recording)};
}

}  // namespace lockstep::launch
