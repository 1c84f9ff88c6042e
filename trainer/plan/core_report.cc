#include "trainer/plan/core_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace lockstep::plan {
namespace {

/// Cores that a host's ranks may use together.
int AllowedCores(const std::vector<const RankCores*>& ranks) {
  std::set<int> cores;
  std::map<uint64_t, int> quotas;
  int bounds = 0;
  bool all_have_quota = true, all_bound = true;
  for (const RankCores* rank : ranks) {
    for (const Core& core : rank->cores) cores.insert(core.number);
    quotas[rank->quota_group] = rank->quota;
    all_have_quota &= rank->quota > 0;
    bounds += rank->bound;
    all_bound &= rank->bound > 0;
  }
  int allowed = static_cast<int>(cores.size());
  int quota = 0;
  for (const auto& [group, cores_of_group] : quotas) quota += cores_of_group;
  if (all_have_quota) allowed = std::min(allowed, quota);
  if (all_bound) allowed = std::min(allowed, bounds);
  return allowed;
}

/// "; pinned: rank 0 to 0-3, rank 1 to 4-7"; empty where no rank is.
std::string DescribePins(const std::vector<size_t>& ranks, const CorePlan& plan) {
  constexpr int kNamed = 8;
  std::string text;
  int pinned = 0;
  for (size_t rank : ranks) {
    if (plan[rank].pins.empty() || ++pinned > kNamed) continue;
    std::vector<int> cores;
    for (const std::vector<int>& pin : plan[rank].pins) cores.insert(cores.end(), pin.begin(), pin.end());
    std::sort(cores.begin(), cores.end());
    text += fmt::format("{}rank {} to {}", text.empty() ? "; pinned: " : ", ", rank, FormatCoreList(cores));
  }
  if (pinned > kNamed) text += fmt::format(" and {} more", pinned - kNamed);
  return text;
}

std::string DescribeIdleCores(int lanes, int idle, int global_batch) {
  int better = lanes + idle;
  while (better > lanes && global_batch % better != 0) --better;
  return fmt::format(
      "{} lane{} leave{} {} core{} idle{}", lanes, lanes == 1 ? "" : "s", lanes == 1 ? "s" : "", idle,
      idle == 1 ? "" : "s",
      better > lanes ? fmt::format("; train.lanes: {} would use more (it changes the bits)", better) : "");
}

}  // namespace

CoreReport DescribeCorePlan(const std::vector<RankCores>& ranks, const CorePlan& plan,
                            const CoreReportOptions& options) {
  CoreReport report;
  std::map<int, std::vector<size_t>> hosts;
  for (size_t r = 0; r < ranks.size(); ++r) hosts[ranks[r].host].push_back(r);
  int all_executors = 0, idle = 0;
  bool crowded = false;
  for (const auto& [host, members] : hosts) {
    std::vector<const RankCores*> here;
    int executors = 0, least = options.lanes, most = 0;
    for (size_t r : members) {
      here.push_back(&ranks[r]);
      executors += plan[r].executors;
      least = std::min(least, plan[r].executors);
      most = std::max(most, plan[r].executors);
      crowded |= plan[r].crowded;
    }
    const RankCores& first = *here.front();
    const int allowed = AllowedCores(here);
    all_executors += executors;
    idle += std::max(0, allowed - executors * options.lane_threads);
    report.notes.push_back(fmt::format("{}: {} rank{}, {} of {} cores allowed, {} executor{} a rank{}",
                                       options.host_names[members.front()], members.size(),
                                       members.size() == 1 ? "" : "s", allowed, first.machine,
                                       least == most ? std::to_string(least) : fmt::format("{}-{}", least, most),
                                       most == 1 ? "" : "s", DescribePins(members, plan)));
    if (ranks.size() == 1 && first.cores.size() == 1 && first.machine > 1 && options.under_mpirun)
      report.warnings.push_back(
          fmt::format("mpirun binds a single rank to one core; add --bind-to none to use all {} cores of {}",
                      first.machine, options.host_names.front()));
  }
  if (crowded)
    report.warnings.emplace_back(
        "ranks share cores: start at most one rank (or executor) a core, or lower --executors");
  if (idle > 0 && all_executors == options.lanes)
    report.warnings.push_back(DescribeIdleCores(options.lanes, idle, options.global_batch));
  return report;
}

}  // namespace lockstep::plan
