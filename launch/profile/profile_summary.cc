#include "launch/profile/profile_summary.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

namespace lockstep::launch {
namespace {

using profile::Event;
using profile::What;
using records::ProfiledThread;
using records::RankProfile;

/// Seconds of events by kind, without those of the events within them.
using SecondsByWhat = std::array<double, profile::kWhats>;

double SecondsOf(const Event& event) { return 1e-9 * static_cast<double>(event.end_ns - event.begin_ns); }

/// `events` as ProfiledRun has them. Ops count as the pass that they lie in.
SecondsByWhat OwnSeconds(const std::vector<Event>& events) {
  SecondsByWhat seconds{};
  std::vector<const Event*> open;
  for (const Event& event : events) {
    while (!open.empty() && open.back()->end_ns <= event.begin_ns) open.pop_back();
    if (event.what == What::kOp) continue;
    seconds[static_cast<size_t>(event.what)] += SecondsOf(event);
    if (!open.empty()) seconds[static_cast<size_t>(open.back()->what)] -= SecondsOf(event);
    open.push_back(&event);
  }
  return seconds;
}

bool IsExecutor(const ProfiledThread& thread) { return thread.name.starts_with("executor"); }

/// A phase's seconds, by rank.
class PhaseTable {
 public:
  void Add(const std::string& name, double seconds) {
    for (auto& [known, by_rank] : phases_)
      if (known == name) {
        by_rank.push_back(seconds);
        return;
      }
    phases_.push_back({name, {seconds}});
  }
  std::vector<PhaseUse> Take() const {
    std::vector<PhaseUse> uses;
    for (const auto& [name, by_rank] : phases_) {
      const auto [least, most] = std::minmax_element(by_rank.begin(), by_rank.end());
      double sum = 0;
      for (const double seconds : by_rank) sum += seconds;
      if (*most <= 0) continue;
      uses.push_back(
          {name, sum / static_cast<double>(by_rank.size()), *least, *most, static_cast<int>(most - by_rank.begin())});
    }
    return uses;
  }

 private:
  std::vector<std::pair<std::string, std::vector<double>>> phases_;
};

double StepSeconds(const RankProfile& rank) {
  double seconds = 0;
  for (const ProfiledThread& thread : rank.threads)
    for (const Event& event : thread.events)
      if (event.what == What::kStep) seconds += SecondsOf(event);
  return seconds;
}

void AddExecutorPhases(const RankProfile& rank, PhaseTable& table) {
  SecondsByWhat sums{};
  double executors = 0, lanes = 0;
  for (const ProfiledThread& thread : rank.threads) {
    if (!IsExecutor(thread)) continue;
    ++executors;
    const SecondsByWhat own = OwnSeconds(thread.events);
    for (size_t i = 0; i < own.size(); ++i) sums[i] += own[i];
    for (const Event& event : thread.events)
      if (event.what == What::kLane) lanes += SecondsOf(event);
  }
  if (lanes == 0) return;  // on a GPU
  const double parts = executors * static_cast<double>(rank.steps);
  for (const What what : {What::kSamples, What::kInputs, What::kForward, What::kBackward, What::kFold})
    table.Add(std::string(profile::Name(what)), sums[static_cast<size_t>(what)] / parts);
  table.Add("rest of lanes", sums[static_cast<size_t>(What::kLane)] / parts);
  // Idle, but for helping with packing and updates.
  table.Add("outside of lanes", std::max(0.0, StepSeconds(rank) / static_cast<double>(rank.steps) - lanes / parts));
}

/// As tables call the time of the communicating thread in an event, without what lies within it.
std::string PhaseName(What what) {
  if (what == What::kReduce) return "waiting for gradients";
  if (what == What::kShare) return "waiting for weights";
  if (what == What::kStep) return "rest of steps";
  return std::string(profile::Name(what));
}

void AddCommunicationPhases(const RankProfile& rank, PhaseTable& table) {
  for (const ProfiledThread& thread : rank.threads) {
    if (IsExecutor(thread)) continue;
    const SecondsByWhat own = OwnSeconds(thread.events);
    for (const What what : {What::kPrepare, What::kReduce, What::kUpdate, What::kAwaitLanes, What::kNorm, What::kShare,
                            What::kControl, What::kStep, What::kCertify, What::kEvaluate, What::kCheckpoint})
      table.Add(PhaseName(what), own[static_cast<size_t>(what)] / static_cast<double>(rank.steps));
  }
}

class OpTable {
 public:
  void Add(const RankProfile& rank, const Event& event) {
    const records::ProfiledProgram& program = rank.programs[static_cast<size_t>(event.program)];
    const records::ProfiledOp& op = program.ops[static_cast<size_t>(event.number)];
    const bool forward = static_cast<uint64_t>(event.number) < program.forward_ops;
    Add(ops_[{op.kind, op.name, forward}], op, event);
    Add(kinds_[{op.kind, "", forward}], op, event);
  }
  std::vector<OpUse> ops() const { return Sorted(ops_); }
  std::vector<OpUse> kinds() const { return Sorted(kinds_); }

 private:
  using Uses = std::map<std::tuple<std::string, std::string, bool>, OpUse>;

  static void Add(OpUse& use, const records::ProfiledOp& op, const Event& event) {
    ++use.runs;
    use.seconds += SecondsOf(event);
    use.flops += op.flops;
    use.bytes += op.bytes;
  }
  static std::vector<OpUse> Sorted(const Uses& uses) {
    std::vector<OpUse> sorted;
    for (const auto& [key, use] : uses) {
      sorted.push_back(use);
      std::tie(sorted.back().kind, sorted.back().name, sorted.back().forward) = key;
    }
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const OpUse& a, const OpUse& b) { return a.seconds > b.seconds; });
    return sorted;
  }

  Uses ops_, kinds_;
};

}  // namespace

ProfileSummary Summarize(const ProfiledRun& run) {
  const RankProfile& first = run.ranks.front();
  ProfileSummary summary{.ranks = static_cast<int>(run.ranks.size()),
                         .lane_threads = first.lane_threads,
                         .first_step = first.first_step,
                         .steps = first.steps,
                         .device = first.device};
  OpTable ops;
  PhaseTable executor_phases, communication_phases;
  for (const RankProfile& rank : run.ranks) {
    summary.clock_error_ns = std::max(summary.clock_error_ns, ProfiledRun::ClockErrorOf(rank));
    summary.step_seconds += StepSeconds(rank) / static_cast<double>(rank.steps * run.ranks.size());
    for (const ProfiledThread& thread : rank.threads) {
      summary.dropped += thread.dropped;
      if (!IsExecutor(thread)) continue;
      ++summary.executors;
      if (rank.host == first.host) summary.computing_threads += rank.lane_threads;
      for (const Event& event : thread.events)
        if (event.what == What::kOp) ops.Add(rank, event);
    }
    AddExecutorPhases(rank, executor_phases);
    AddCommunicationPhases(rank, communication_phases);
  }
  summary.ops = ops.ops();
  summary.kinds = ops.kinds();
  for (const OpUse& kind : summary.kinds) summary.flops += kind.flops / static_cast<double>(summary.steps);
  summary.executor_phases = executor_phases.Take();
  summary.communication_phases = communication_phases.Take();
  return summary;
}

}  // namespace lockstep::launch
