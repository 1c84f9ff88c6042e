#include "trainer/plan/core_plan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "base/error.h"
#include "base/lane_tree.h"

namespace lockstep::plan {
namespace {

constexpr int kNobody = -1;

/// The cores of one host in an order in which what is near stands together, and who holds which. A rank that wants a
/// core takes a free one, or one whose holder can take another in its place (an augmenting path of bipartite matching),
/// so ranks whose masks overlap only in part get what they need wherever that is possible at all.
class Deal {
 public:
  explicit Deal(const std::vector<std::vector<int>>& masks) : masks_(&masks), held_(masks.size(), 0) {
    int cores = 0;
    for (const std::vector<int>& mask : masks)
      for (int core : mask) cores = std::max(cores, core + 1);
    holder_.assign(static_cast<size_t>(cores), kNobody);
  }

  /// Gives the rank `count` cores more, or none.
  bool Give(int rank, int count) {
    const Deal before = *this;
    for (int i = 0; i < count; ++i) {
      std::vector<bool> seen(holder_.size(), false);
      if (GiveOne(rank, seen)) continue;
      *this = before;
      return false;
    }
    held_[static_cast<size_t>(rank)] += count;
    return true;
  }

  int held(int rank) const { return held_[static_cast<size_t>(rank)]; }
  std::vector<int> CoresOf(int rank) const {
    std::vector<int> cores;
    for (size_t core = 0; core < holder_.size(); ++core)
      if (holder_[core] == rank) cores.push_back(static_cast<int>(core));
    return cores;
  }

 private:
  bool GiveOne(int rank, std::vector<bool>& seen) {
    const std::vector<int>& mask = (*masks_)[static_cast<size_t>(rank)];
    for (int core : mask) {
      if (holder_[static_cast<size_t>(core)] != kNobody) continue;
      holder_[static_cast<size_t>(core)] = rank;
      return true;
    }
    for (int core : mask) {
      const int holder = holder_[static_cast<size_t>(core)];
      if (holder == rank || seen[static_cast<size_t>(core)]) continue;
      seen[static_cast<size_t>(core)] = true;
      if (!GiveOne(holder, seen)) continue;
      holder_[static_cast<size_t>(core)] = rank;
      return true;
    }
    return false;
  }

  const std::vector<std::vector<int>>* masks_;  ///< [rank], indices of cores, ascending
  std::vector<int> holder_;                     ///< [core]
  std::vector<int> held_;                       ///< [rank]
};

/// One host's ranks, numbered from 0 among themselves.
class HostPlan {
 public:
  HostPlan(std::vector<const RankCores*> ranks, std::vector<int> rank_lanes, int lane_threads)
      : ranks_(std::move(ranks)), rank_lanes_(std::move(rank_lanes)), lane_threads_(lane_threads) {
    for (const RankCores* rank : ranks_) cores_.insert(cores_.end(), rank->cores.begin(), rank->cores.end());
    const auto place = [](const Core& core) { return std::tuple(core.numa, core.physical, core.number); };
    std::sort(cores_.begin(), cores_.end(), [&](const Core& a, const Core& b) { return place(a) < place(b); });
    cores_.erase(std::unique(cores_.begin(), cores_.end()), cores_.end());
    for (const RankCores* rank : ranks_) {
      masks_.emplace_back();
      for (size_t core = 0; core < cores_.size(); ++core)
        if (std::find(rank->cores.begin(), rank->cores.end(), cores_[core]) != rank->cores.end())
          masks_.back().push_back(static_cast<int>(core));
    }
  }

  std::vector<CoreShare> Plan(Pinning pinning) {
    Deal deal(masks_);
    DealExecutors(deal);
    std::vector<CoreShare> shares(ranks_.size());
    for (size_t r = 0; r < ranks_.size(); ++r) shares[r].executors = std::max({1, Requested(r), dealt_[r]});
    MarkCrowded(shares);
    const std::vector<std::vector<int>> parts = DealParts(deal);
    for (size_t r = 0; r < ranks_.size(); ++r) {
      const bool part_of_machine = static_cast<int>(ranks_[r]->cores.size()) < ranks_[r]->machine;
      if (shares[r].crowded || pinning == Pinning::kNever) continue;
      if (part_of_machine || pinning == Pinning::kAlways) shares[r].pins = Pins(parts[r], shares[r].executors);
    }
    return shares;
  }

 private:
  int Requested(size_t rank) const { return std::min(ranks_[rank]->requested, rank_lanes_[rank]); }

  /// Whether another executor of this rank may be dealt, as far as lanes, request and scheduler go.
  bool Wants(size_t rank) const {
    const int most = Requested(rank) > 0 ? Requested(rank) : rank_lanes_[rank];
    const int bound = ranks_[rank]->bound;
    return dealt_[rank] < most && (bound == 0 || (dealt_[rank] + 1) * lane_threads_ <= bound);
  }

  /// Deals executors in rounds, one to each rank; ranks that say the same get one all together or none of them. Sets
  /// dealt_.
  void DealExecutors(Deal& deal) {
    dealt_.assign(ranks_.size(), 0);
    const auto words = [](const RankCores& rank) {
      std::vector<int> numbers;
      for (const Core& core : rank.cores) numbers.push_back(core.number);
      return std::tuple(numbers, rank.quota_group, rank.bound, rank.requested);
    };
    std::map<decltype(words(*ranks_[0])), std::vector<size_t>> alike;
    for (size_t r = 0; r < ranks_.size(); ++r) alike[words(*ranks_[r])].push_back(r);
    while (!alike.empty()) {
      for (auto it = alike.begin(); it != alike.end();)
        it = DealRound(it->second, deal) ? std::next(it) : alike.erase(it);
    }
  }

  bool DealRound(const std::vector<size_t>& ranks, Deal& deal) {
    const Deal deal_before = deal;
    const std::vector<int> dealt_before = dealt_;
    for (size_t r : ranks) {
      if (!Wants(r)) continue;
      ++dealt_[r];
      if (WithinQuota(r) && deal.Give(static_cast<int>(r), lane_threads_)) continue;
      deal = deal_before;
      dealt_ = dealt_before;
      return false;
    }
    return dealt_ != dealt_before;
  }

  bool WithinQuota(size_t rank) const {
    if (ranks_[rank]->quota == 0) return true;
    int threads = 0;
    for (size_t r = 0; r < ranks_.size(); ++r)
      if (ranks_[r]->quota > 0 && ranks_[r]->quota_group == ranks_[rank]->quota_group)
        threads += dealt_[r] * lane_threads_;
    return threads <= ranks_[rank]->quota;
  }

  /// A rank that has more executors than were dealt to it crowds those too with which it shares cores, directly or
  /// through others.
  void MarkCrowded(std::vector<CoreShare>& shares) const {
    std::vector<size_t> next;
    const auto mark = [&](size_t rank) {
      if (shares[rank].crowded) return;
      shares[rank].crowded = true;
      next.push_back(rank);
    };
    for (size_t r = 0; r < ranks_.size(); ++r)
      if (shares[r].executors > dealt_[r]) mark(r);
    while (!next.empty()) {
      const size_t rank = next.back();
      next.pop_back();
      for (size_t r = 0; r < ranks_.size(); ++r)
        if (Overlap(masks_[rank], masks_[r])) mark(r);
    }
  }

  static bool Overlap(const std::vector<int>& a, const std::vector<int>& b) {
    return std::find_first_of(a.begin(), a.end(), b.begin(), b.end()) != a.end();
  }

  /// Each rank's part of the cores, as many as `deal` gave it and its part of those left over, so that parts keep
  /// together what is near.
  std::vector<std::vector<int>> DealParts(Deal deal) const {
    for (bool more = true; more;) {
      more = false;
      for (size_t r = 0; r < ranks_.size(); ++r) more |= deal.Give(static_cast<int>(r), 1);
    }
    Deal in_order(masks_);
    std::vector<std::vector<int>> parts;
    for (size_t r = 0; r < ranks_.size(); ++r)
      CHECK(in_order.Give(static_cast<int>(r), deal.held(static_cast<int>(r))));
    for (size_t r = 0; r < ranks_.size(); ++r) parts.push_back(in_order.CoresOf(static_cast<int>(r)));
    return parts;
  }

  std::vector<std::vector<int>> Pins(const std::vector<int>& part, int executors) const {
    std::map<int, int> threads;  // of a physical core, so far
    std::vector<std::pair<int, int>> by_thread;
    for (int core : part) by_thread.push_back({threads[cores_[static_cast<size_t>(core)].physical]++, core});
    std::stable_sort(by_thread.begin(), by_thread.end());
    by_thread.resize(static_cast<size_t>(executors * lane_threads_));
    std::vector<int> chosen;
    for (const auto& [thread, core] : by_thread) chosen.push_back(core);
    std::sort(chosen.begin(), chosen.end());
    std::vector<std::vector<int>> pins(static_cast<size_t>(executors));
    for (size_t i = 0; i < chosen.size(); ++i)
      pins[i / static_cast<size_t>(lane_threads_)].push_back(cores_[static_cast<size_t>(chosen[i])].number);
    for (std::vector<int>& pin : pins) std::sort(pin.begin(), pin.end());
    return pins;
  }

  std::vector<const RankCores*> ranks_;
  std::vector<int> rank_lanes_;
  int lane_threads_;
  std::vector<Core> cores_;              ///< of all ranks, each once, by where they lie
  std::vector<std::vector<int>> masks_;  ///< [rank], indices into cores_
  std::vector<int> dealt_;               ///< [rank], executors that have cores
};

}  // namespace

CorePlan PlanCores(const std::vector<RankCores>& ranks, int lanes, int lane_threads, Pinning pinning) {
  const std::vector<LaneRange> runs = DealLanes(lanes, static_cast<int>(ranks.size()));
  std::map<int, std::vector<size_t>> hosts;
  for (size_t r = 0; r < ranks.size(); ++r) hosts[ranks[r].host].push_back(r);
  CorePlan plan(ranks.size());
  for (const auto& [host, members] : hosts) {
    std::vector<const RankCores*> here;
    std::vector<int> rank_lanes;
    for (size_t r : members) {
      here.push_back(&ranks[r]);
      rank_lanes.push_back(runs[r].size());
    }
    std::vector<CoreShare> shares =
        HostPlan(std::move(here), std::move(rank_lanes), std::max(1, lane_threads)).Plan(pinning);
    for (size_t i = 0; i < members.size(); ++i) plan[members[i]] = std::move(shares[i]);
  }
  return plan;
}

std::vector<int> ExecutorsOf(const CorePlan& plan) {
  std::vector<int> executors;
  for (const CoreShare& share : plan) executors.push_back(share.executors);
  return executors;
}

}  // namespace lockstep::plan
