#include "trainer/run/profile/profiler.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/log.h"
#include "trainer/graph/op_table.h"
#include "trainer/run/profile/clock_offset.h"

namespace lockstep::run {
namespace {

constexpr uint32_t kDefaultWarmUp = 10;
constexpr uint64_t kMostEvents = 4'000'000;  ///< of a thread

size_t Capacity(uint64_t steps, uint64_t events_of_a_step) {
  return static_cast<size_t>(std::min(kMostEvents, steps * events_of_a_step));
}

double BytesOf(const graph::Graph& graph, const graph::Op& op) {
  double bytes = 0;
  for (const auto* list : {&op.inputs, &op.outputs})
    for (graph::ValueId id : *list)
      if (id != graph::kNoValue)
        bytes += static_cast<double>(graph.value(id).shape.size()) * static_cast<double>(SizeOf(graph.value(id).dtype));
  return bytes;
}

records::ProfiledProgram Describe(const engine::ProgramPlan& plan) {
  records::ProfiledProgram program{.forward_ops = plan.forward_ops, .ops = {}};
  for (const graph::Op& op : plan.graph.ops)
    program.ops.push_back(
        {graph::Name(op.kind), op.name, graph::Row(op.kind).flops(plan.graph, op), BytesOf(plan.graph, op)});
  return program;
}

records::ProfiledThread ThreadOf(std::string name, const profile::EventLog& log) {
  return {std::move(name), log.dropped(), {log.events().begin(), log.events().end()}};
}

}  // namespace

Profiler::Profiler(const Job& job, records::RunFolder& folder, FileSystem& files, uint32_t attempt,
                   step::Training& training)
    : job_(job),
      folder_(folder),
      files_(files),
      attempt_(attempt),
      training_(training),
      waiting_(job.config.profile.has_warm_up_steps() ? job.config.profile.warm_up_steps() : kDefaultWarmUp),
      remaining_(job.config.profile.steps()) {}

void Profiler::Begin() {
  const plan::JobPlans& plans = training_.compute().plans();
  const uint64_t buckets = plans.buckets.size();
  uint64_t ops = 0;
  for (const auto& plan : plans.train) ops = std::max<uint64_t>(ops, plan->graph.ops.size());
  constexpr uint64_t kOtherEvents = 16;  // of a lane, or of a step
  recording_ = std::make_unique<profile::Recording>(
      profile::Recording{profile::EventLog(Capacity(remaining_, buckets + kOtherEvents)), {}});
  for (const LaneRange& lanes : training_.executors().runs())
    recording_->executors.emplace_back(
        Capacity(remaining_, static_cast<uint64_t>(lanes.size()) * (ops + buckets + kOtherEvents)));
  first_step_ = training_.step();
  before_ = ReadClock(*job_.place.comm, profile::EventLog::Now);
  training_.Record(recording_.get());
}

void Profiler::BeforeStep() {
  if (remaining_ > 0 && recording_ == nullptr && waiting_ == 0) Begin();
}

void Profiler::AfterStep() {
  if (waiting_ > 0) {
    --waiting_;
  } else if (recording_ != nullptr && --remaining_ == 0) {
    End();
  }
}

void Profiler::End() {
  if (recording_ == nullptr) return;
  training_.Record(nullptr);
  remaining_ = 0;
  const records::RankProfile profile = Take();
  recording_.reset();
  if (profile.steps == 0) return;
  // A profile is not worth a run.
  try {
    files_.CreateFolders(folder_.profiles());
    const std::string text = records::FormatProfile(profile);
    WriteAtomically(files_, folder_.profile(profile.rank), Durability::kProcess,
                    [&](WritableFile& file) { file.Append(std::as_bytes(std::span(text))); });
  } catch (const Error& error) {
    LogWarning("the profile of rank {} can't be written down: {}", profile.rank, error.what());
  }
}

records::RankProfile Profiler::Take() {
  const comm::Topology& topology = job_.place.comm->topology();
  records::RankProfile profile;
  profile.attempt = attempt_;
  profile.rank = topology.rank;
  profile.world_size = topology.world_size;
  profile.host = topology.host_name();
  profile.device = plan::Device::Value_Name(job_.config.train.device());
  profile.lane_threads = static_cast<int>(job_.config.train.lane_threads());
  profile.first_step = first_step_;
  profile.steps = training_.step() - first_step_;
  profile.before = before_;
  profile.after = ReadClock(*job_.place.comm, profile::EventLog::Now);
  for (const auto& plan : training_.compute().plans().train) profile.programs.push_back(Describe(*plan));
  profile.threads.push_back(ThreadOf("communication", recording_->communicating));
  for (size_t e = 0; e < recording_->executors.size(); ++e)
    profile.threads.push_back(ThreadOf("executor " + std::to_string(e), recording_->executors[e]));
  return profile;
}

}  // namespace lockstep::run
