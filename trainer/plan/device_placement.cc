#include "trainer/plan/device_placement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

namespace lockstep::plan {
namespace {

/// Ranks of a host are contiguous.
std::vector<std::vector<RankDevice>> ByHost(const std::vector<RankDevice>& ranks) {
  std::vector<std::vector<RankDevice>> hosts;
  for (const RankDevice& rank : ranks) {
    if (hosts.empty() || hosts.back().front().host != rank.host) hosts.emplace_back();
    hosts.back().push_back(rank);
  }
  return hosts;
}

std::set<std::string> UuidsOf(const std::vector<RankDevice>& ranks) {
  std::set<std::string> uuids;
  for (const RankDevice& rank : ranks) uuids.insert(rank.uuid);
  return uuids;
}

}  // namespace

bool SharesDevices(const std::vector<RankDevice>& ranks) { return UuidsOf(ranks).size() < ranks.size(); }

std::vector<std::string> DescribeDevices(const std::vector<RankDevice>& ranks) {
  std::vector<std::string> lines;
  for (const std::vector<RankDevice>& host : ByHost(ranks)) {
    std::map<std::string, std::set<std::string>> models;
    for (const RankDevice& rank : host) models[rank.name].insert(rank.uuid);
    std::vector<std::string> texts;
    for (const auto& [name, uuids] : models)
      texts.push_back(uuids.size() == 1 ? name : fmt::format("{} x {}", name, uuids.size()));
    lines.push_back(fmt::format("{}: {} rank{} on {}", host.front().host, host.size(), host.size() == 1 ? "" : "s",
                                fmt::join(texts, " and ")));
  }
  return lines;
}

std::vector<std::string> WarningsOfDevices(const std::vector<RankDevice>& ranks) {
  std::vector<std::string> warnings;
  for (const std::vector<RankDevice>& host : ByHost(ranks)) {
    const std::string& name = host.front().host;
    const size_t used = UuidsOf(host).size();
    const int visible = std::max_element(host.begin(), host.end(), [](const auto& a, const auto& b) {
                          return a.visible < b.visible;
                        })->visible;
    const bool alone = std::all_of(host.begin(), host.end(), [](const RankDevice& rank) { return rank.visible == 1; });
    if (used < host.size()) {
      warnings.push_back(fmt::format(
          "{} ranks on {} share {} GPU{}: gradients go through the host; start one rank a GPU{}", host.size(), name,
          used, used == 1 ? "" : "s", alone && visible == 1 ? ", and let each see one of its own or all of them" : ""));
    } else if (used > 1 && alone) {
      warnings.push_back(fmt::format(
          "each rank on {} sees its own GPU alone, so GPUs can't copy to each other directly; in Slurm, ask with "
          "--gpus-per-node (and without --gpus-per-task) or add --gpu-bind=none",
          name));
    } else if (static_cast<size_t>(visible) > host.size()) {
      warnings.push_back(fmt::format("{} of {} GPUs of {} are idle: start {} ranks there",
                                     static_cast<size_t>(visible) - host.size(), visible, name, visible));
    }
  }
  return warnings;
}

}  // namespace lockstep::plan
