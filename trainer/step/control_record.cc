#include "trainer/step/control_record.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace lockstep::step {

double ControlRecord::loss(int index) const {
  double sum = 0;
  for (const LaneRecord& lane : lanes) sum += lane.losses[index];
  return sum;
}

int64_t ControlRecord::counter(int index) const {
  int64_t sum = 0;
  for (const LaneRecord& lane : lanes) sum += lane.counters[index];
  return sum;
}

bool ControlRecord::stop() const {
  return std::any_of(ranks.begin(), ranks.end(), [](const RankRecord& rank) { return rank.stop != 0; });
}

bool ControlRecord::checkpoint_written() const {
  return std::all_of(ranks.begin(), ranks.end(), [](const RankRecord& rank) { return rank.checkpoint_written != 0; });
}

std::optional<double> ControlRecord::joules() const {
  double sum = 0;
  for (const RankRecord& rank : ranks) {
    if (rank.joules < 0) return std::nullopt;
    sum += rank.joules;
  }
  return sum;
}

int64_t ControlRecord::nonfinite() const {
  int64_t first = -1;
  for (const RankRecord& rank : ranks)
    if (rank.nonfinite >= 0 && (first < 0 || rank.nonfinite < first)) first = rank.nonfinite;
  return first;
}

ControlRecord ExchangeControlRecords(comm::Communicator& comm, const comm::LanePlan& plan, const RankRecord& mine,
                                     const std::vector<LaneRecord>& mine_lanes, uint64_t step) {
  const auto lanes_of = [&](size_t rank) { return plan[rank].back().end - plan[rank].front().begin; };
  size_t most = 0;
  for (size_t rank = 0; rank < plan.size(); ++rank) most = std::max(most, static_cast<size_t>(lanes_of(rank)));
  CHECK(mine_lanes.size() <= most);

  // Every rank sends as many bytes as the one with the most lanes.
  const size_t bytes = sizeof(RankRecord) + most * sizeof(LaneRecord);
  std::vector<std::byte> sent(bytes), all(bytes * plan.size());
  std::memcpy(sent.data(), &mine, sizeof(mine));
  std::memcpy(sent.data() + sizeof(mine), mine_lanes.data(), mine_lanes.size() * sizeof(LaneRecord));
  comm.Wait(*comm.AllGather(sent, all), fmt::format("the control record of step {}", step));

  ControlRecord record;
  for (size_t rank = 0; rank < plan.size(); ++rank) {
    const std::byte* from = all.data() + rank * bytes;
    std::memcpy(&record.ranks.emplace_back(), from, sizeof(RankRecord));
    from += sizeof(RankRecord);
    for (int lane = 0; lane < lanes_of(rank); ++lane, from += sizeof(LaneRecord))
      std::memcpy(&record.lanes.emplace_back(), from, sizeof(LaneRecord));
  }
  return record;
}

}  // namespace lockstep::step
