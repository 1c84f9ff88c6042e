#include "launch/supervise/placement.h"

#include <algorithm>
#include <cstdlib>

namespace lockstep::launch {
namespace {

constexpr auto kProbeKeeps = std::chrono::milliseconds(1500);

bool IsOther(const Host& host) { return !IsThisHost(host.name); }

bool Contains(const std::vector<Host>& hosts, const std::string& name) {
  return std::any_of(hosts.begin(), hosts.end(), [&](const Host& host) { return host.name == name; });
}

}  // namespace

Placement::Placement(std::vector<Host> hosts, int ranks, std::string clean_up)
    : all_(std::move(hosts)), most_ranks_(ranks), clean_up_(std::move(clean_up)), answering_(all_) {}

void Placement::Probe() {
  answering_ = AnsweringHosts(all_, clean_up_);
  probed_ = std::chrono::steady_clock::now();
}

bool Placement::Choose() {
  ranks_ = most_ranks_;
  if (all_.empty()) return true;
  ranks_ = std::min(most_ranks_, TotalSlots(answering_));
  chosen_ = DealRanks(answering_, ranks_);
  return ranks_ > 0;
}

bool Placement::ChooseFirst() { return Choose(); }

bool Placement::ChooseAgain() {
  if (std::chrono::steady_clock::now() - probed_ > kProbeKeeps) Probe();
  return Choose();
}

std::string Placement::FindLostHost() {
  if (std::none_of(all_.begin(), all_.end(), IsOther)) return "";
  Probe();
  for (const Host& host : chosen_)
    if (!Contains(answering_, host.name)) return host.name;
  return "";
}

int Placement::ranks_here() const {
  if (chosen_.empty()) return (ranks_ + nodes() - 1) / nodes();
  int here = 0;
  for (const Host& host : chosen_) here += IsOther(host) ? 0 : host.slots;
  return here;
}

int Placement::nodes() const {
  if (!chosen_.empty()) return static_cast<int>(chosen_.size());
  const char* nodes = std::getenv("SLURM_JOB_NUM_NODES");
  return nodes == nullptr ? 1 : std::max(1, std::atoi(nodes));
}

bool Placement::HasOthers() const { return std::any_of(chosen_.begin(), chosen_.end(), IsOther); }

}  // namespace lockstep::launch
