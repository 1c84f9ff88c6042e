#include "comm/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "comm/flight_recorder.h"

namespace lockstep::comm {
namespace {

/// "exchange 4711 of step 310", "all-gather 17".
std::string NameOf(const Status& status) {
  std::string name = fmt::format("{} {}", Name(status.kind()), status.collective());
  if (status.has_collective_step()) name += fmt::format(" of step {}", status.collective_step());
  return name;
}

bool Waits(const Status& status) { return status.collective() > 0 && status.state() == CollectiveState::ENTERED; }

/// The newest collective that the rank has given its part to.
uint64_t LastEntered(const Status& status) {
  return status.collective() - (status.state() == CollectiveState::BEGUN && status.collective() > 0 ? 1 : 0);
}

std::string Doing(const Status& status) {
  if (Waits(status)) return "waiting in " + NameOf(status);
  return std::string(Name(status.phase()));
}

const char* Verb(const std::vector<int>& ranks, const char* one, const char* many) {
  return ranks.size() == 1 ? one : many;
}

std::string Ranks(std::span<const int> ranks) {
  return fmt::format("{} {}", ranks.size() == 1 ? "rank" : "ranks", RankRanges(ranks));
}

std::string Joined(std::span<const std::string> parts, const char* between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? std::string() : between) + part;
  return text;
}

/// What a collective is called with: its kind and bytes.
using Call = std::pair<CollectiveKind::Value, uint64_t>;

/// " with 64 bytes".
std::string Size(const Call& call) {
  const auto [kind, bytes] = call;
  const bool floats = kind == CollectiveKind::EXCHANGE || kind == CollectiveKind::WEIGHTS;
  if (floats) return fmt::format(" with {} elements", bytes / sizeof(float));
  return kind == CollectiveKind::BARRIER ? " with no bytes" : fmt::format(" with {} bytes", bytes);
}

/// The sightings, sorted into what ranks do.
class Scene {
 public:
  Scene(std::span<const Sighting> ranks, const Topology& topology, double silent_seconds)
      : ranks_(ranks), topology_(topology) {
    for (int rank = 0; rank < static_cast<int>(ranks.size()); ++rank) {
      const Sighting& sighting = At(rank);
      if (!sighting.heartbeat) {
        unseen_.push_back(rank);
        continue;
      }
      const Status& status = StatusOf(rank);
      newest_ = std::max(newest_, LastEntered(status));
      if (sighting.age_seconds > silent_seconds)
        silent_.push_back(rank);
      else if (Waits(status))
        waiting_.push_back(rank);
      else
        busy_.push_back(rank);
    }
    for (const Sighting& sighting : ranks) {
      if (newest_ == 0 || !sighting.heartbeat || sighting.heartbeat->status().collective() != newest_) continue;
      newest_status_ = &sighting.heartbeat->status();
      break;
    }
  }

  Diagnosis Explain() const {
    if (std::optional<Diagnosis> mismatch = Mismatch()) return *mismatch;
    if (!unseen_.empty() || !silent_.empty() || !busy_.empty()) return Stuck();
    if (std::optional<Diagnosis> behind = Behind()) return *behind;
    return Network();
  }

 private:
  const Sighting& At(int rank) const { return ranks_[static_cast<size_t>(rank)]; }
  const Status& StatusOf(int rank) const { return At(rank).heartbeat->status(); }
  std::string Place(std::span<const int> ranks) const { return RanksOnHosts(ranks, topology_); }

  // Ranks that called different collectives under one number: a bug, or memory gone wrong, in the smaller group.
  std::optional<Diagnosis> Mismatch() const {
    std::map<uint64_t, std::map<Call, std::vector<int>>> calls;
    for (int rank = 0; rank < static_cast<int>(ranks_.size()); ++rank) {
      if (!At(rank).heartbeat || StatusOf(rank).collective() == 0) continue;
      const Status& status = StatusOf(rank);
      calls[status.collective()][{status.kind(), status.bytes()}].push_back(rank);
    }
    for (const auto& [number, groups] : calls) {
      if (groups.size() < 2) continue;
      const auto smaller = [](const auto& a, const auto& b) {
        // Of groups of one size, the one without the lowest rank is blamed.
        return std::pair(a.second.size(), -a.second.front()) < std::pair(b.second.size(), -b.second.front());
      };
      const auto odd = std::min_element(groups.begin(), groups.end(), smaller);
      const auto usual = std::max_element(groups.begin(), groups.end(), smaller);
      const bool same_kind = odd->first.first == usual->first.first;
      return Diagnosis{fmt::format("{} entered {} {}{}, {} {}{}", Place(odd->second), Name(odd->first.first), number,
                                   Size(odd->first), Ranks(usual->second),
                                   same_kind ? "" : fmt::format("{} {}", Name(usual->first.first), number),
                                   same_kind ? Size(usual->first).substr(1) : Size(usual->first)),
                       odd->second};
    }
    return std::nullopt;
  }

  // Ranks that no others can wait out: silent ones, and those that do something of their own.
  Diagnosis Stuck() const {
    Diagnosis diagnosis;
    std::vector<std::string> parts;
    bool named = false;  // the collective that others wait in
    if (!unseen_.empty())
      parts.push_back(fmt::format("{} {} never seen", Place(unseen_), Verb(unseen_, "was", "were")));
    for (const std::vector<int>& group : Grouped(silent_)) {
      const Status& status = StatusOf(group.front());
      const bool behind = newest_status_ != nullptr && LastEntered(status) < newest_;
      named |= behind;
      parts.push_back(
          behind ? fmt::format("{} {} not entered {} (last seen: {}, {} ago)", Place(group), Verb(group, "has", "have"),
                               NameOf(*newest_status_), Doing(status), SecondsText(Stale(group)))
                 : fmt::format("{} {} given no sign of life for {} (last seen: {})", Place(group),
                               Verb(group, "has", "have"), SecondsText(At(group.front()).age_seconds), Doing(status)));
    }
    for (const std::vector<int>& group : Grouped(busy_)) {
      const Status& status = StatusOf(group.front());
      parts.push_back(fmt::format(
          "{} {} stuck {}{} (no progress for {})", Place(group), Verb(group, "is", "are"), Name(status.phase()),
          status.has_step() ? fmt::format(" in step {}", status.step()) : "", SecondsText(Stale(group))));
    }
    if (!waiting_.empty()) parts.push_back(Waiting(named));
    diagnosis.message = Joined(parts, "; ");
    for (const std::vector<int>* ranks : {&unseen_, &silent_, &busy_})
      diagnosis.culprits.insert(diagnosis.culprits.end(), ranks->begin(), ranks->end());
    std::sort(diagnosis.culprits.begin(), diagnosis.culprits.end());
    return diagnosis;
  }

  /// Ranks that were doing the same, together.
  std::vector<std::vector<int>> Grouped(const std::vector<int>& ranks) const {
    std::vector<std::vector<int>> groups;
    for (const int rank : ranks) {
      const auto same = std::find_if(groups.begin(), groups.end(), [&](const std::vector<int>& group) {
        const Status &a = StatusOf(group.front()), &b = StatusOf(rank);
        return Doing(a) == Doing(b) && a.step() == b.step() && LastEntered(a) == LastEntered(b);
      });
      if (same == groups.end())
        groups.push_back({rank});
      else
        same->push_back(rank);
    }
    return groups;
  }

  double Stale(const std::vector<int>& ranks) const {
    double least = At(ranks.front()).stale_seconds();
    for (const int rank : ranks) least = std::min(least, At(rank).stale_seconds());
    return least;
  }

  // "ranks 0-2 wait there", or by name where that has not been said.
  std::string Waiting(bool said) const {
    std::vector<std::string> parts;
    std::map<uint64_t, std::vector<int>, std::greater<>> by_number;
    for (const int rank : waiting_) by_number[StatusOf(rank).collective()].push_back(rank);
    for (const auto& [number, ranks] : by_number) {
      const bool there = said && number == newest_;
      parts.push_back(fmt::format("{} {} {}", Ranks(ranks), Verb(ranks, "waits", "wait"),
                                  there ? "there" : "in " + NameOf(StatusOf(ranks.front()))));
    }
    return Joined(parts, "; ");
  }

  // All wait, but not in the same collective: what the last ones wait for has not reached them.
  std::optional<Diagnosis> Behind() const {
    uint64_t oldest = newest_;
    for (const int rank : waiting_) oldest = std::min(oldest, StatusOf(rank).collective());
    if (oldest == newest_) return std::nullopt;
    std::vector<int> last, ahead;
    for (const int rank : waiting_) (StatusOf(rank).collective() == oldest ? last : ahead).push_back(rank);
    return Diagnosis{fmt::format("{} still {} in {}, which {} {} left {} ago: what was sent there has not arrived; see "
                                 "the network",
                                 Place(last), Verb(last, "waits", "wait"), NameOf(StatusOf(last.front())), Ranks(ahead),
                                 Verb(ahead, "has", "have"), SecondsText(At(ahead.front()).stale_seconds())),
                     last};
  }

  Diagnosis Network() const {
    std::vector<std::string> hosts;
    for (const std::string& host : topology_.host_name_of)
      if (std::find(hosts.begin(), hosts.end(), host) == hosts.end()) hosts.push_back(host);
    constexpr size_t kNamed = 3;
    std::string blamed = "messages between ranks on " + hosts.front() + " no longer arrive";
    if (hosts.size() > 1) {
      const bool all = hosts.size() <= kNamed + 1;
      const size_t named = all ? hosts.size() - 1 : kNamed;
      blamed =
          fmt::format("the network between {} and {} no longer delivers", Joined(std::span(hosts).first(named), ", "),
                      all ? hosts.back() : fmt::format("{} more hosts", hosts.size() - named));
    }
    const Sighting& first = At(0);
    return {fmt::format("all ranks are in {} and nothing moves, for {}: {}", NameOf(first.heartbeat->status()),
                        SecondsText(first.stale_seconds()), blamed),
            {}};
  }

  const std::span<const Sighting> ranks_;
  const Topology& topology_;
  std::vector<int> unseen_, silent_, busy_, waiting_;
  uint64_t newest_ = 0;                    ///< the newest collective that any rank has entered
  const Status* newest_status_ = nullptr;  ///< of a rank that is in it, which says what it is
};

}  // namespace

double Sighting::stale_seconds() const {
  return heartbeat ? heartbeat->status().progress_seconds() + age_seconds : age_seconds;
}

bool Sighting::warms_up() const { return heartbeat && heartbeat->status().warming_up() && !Waits(heartbeat->status()); }

Diagnosis Diagnose(std::span<const Sighting> ranks, const Topology& topology, double silent_seconds) {
  CHECK(!ranks.empty() && ranks.size() == topology.host_name_of.size(), "{} sightings", ranks.size());
  return Scene(ranks, topology, silent_seconds).Explain();
}

std::string SecondsText(double seconds) {
  return seconds < 10 ? fmt::format("{:.1f} s", seconds) : fmt::format("{:.0f} s", seconds);
}

std::string RankRanges(std::span<const int> ranks) {
  std::string text;
  for (size_t i = 0; i < ranks.size();) {
    size_t end = i + 1;
    while (end < ranks.size() && ranks[end] == ranks[end - 1] + 1) ++end;
    if (!text.empty()) text += ", ";
    text += end - i == 1 ? fmt::format("{}", ranks[i]) : fmt::format("{}-{}", ranks[i], ranks[end - 1]);
    i = end;
  }
  return text;
}

std::string RanksOnHosts(std::span<const int> ranks, const Topology& topology) {
  std::vector<std::pair<std::string, std::vector<int>>> hosts;
  for (const int rank : ranks) {
    const std::string& host = topology.host_name_of[static_cast<size_t>(rank)];
    if (hosts.empty() || hosts.back().first != host) hosts.push_back({host, {}});
    hosts.back().second.push_back(rank);
  }
  std::vector<std::string> parts;
  for (const auto& [host, on_host] : hosts) parts.push_back(fmt::format("{} on {}", RankRanges(on_host), host));
  return fmt::format("{} {}", ranks.size() == 1 ? "rank" : "ranks", Joined(parts, " and "));
}

std::string DescribeStraggler(std::span<const OwnSeconds> per_step, const Topology& topology, double factor) {
  constexpr double kWorthNaming = 0.1;
  if (per_step.size() < 2) return "";
  const auto by_total = [](const OwnSeconds& a, const OwnSeconds& b) { return a.total() < b.total(); };
  std::vector<OwnSeconds> sorted(per_step.begin(), per_step.end());
  std::sort(sorted.begin(), sorted.end(), by_total);
  const OwnSeconds& median = sorted[(sorted.size() - 1) / 2];  // of two, the faster one
  const auto slowest = std::max_element(per_step.begin(), per_step.end(), by_total);
  if (slowest->total() <= factor * median.total() || slowest->total() - median.total() < kWorthNaming) return "";
  const int rank = static_cast<int>(slowest - per_step.begin());
  const bool loading = slowest->loading - median.loading > slowest->computing - median.computing;
  return fmt::format("{} is a straggler: {:.2g} s a step where the median rank takes {:.2g} s; it loses them {}",
                     topology.Name(rank), slowest->total(), median.total(), loading ? "loading batches" : "computing");
}

}  // namespace lockstep::comm
