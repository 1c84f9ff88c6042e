#include "comm/flight_alignment.h"

#include <algorithm>
#include <limits>
#include <map>

namespace lockstep::comm {
namespace {

/// One rank's way through one collective.
struct Passage {
  const Event* first = nullptr;  ///< the earliest event of it
  std::optional<int64_t> entered_ns, left_ns;
};
using Passages = std::map<uint64_t, Passage>;

Passages PassagesOf(const FlightRecord& record) {
  Passages passages;
  for (const Event& event : record.events()) {
    if (event.collective() == 0) continue;
    Passage& passage = passages[event.collective()];
    if (passage.first == nullptr) passage.first = &event;
    if (event.type() == Event::ENTER) passage.entered_ns = event.time_ns();
    if (event.type() == Event::LEAVE) passage.left_ns = event.time_ns();
  }
  return passages;
}

double Seconds(int64_t from_ns, int64_t to_ns) {
  return (static_cast<double>(to_ns) - static_cast<double>(from_ns)) * 1e-9;
}

AlignedCollective::Rank RankIn(const Passage& passage, int64_t first_ns) {
  AlignedCollective::Rank rank;
  rank.kind = passage.first->kind();
  rank.bytes = passage.first->bytes();
  // Only the end of it is still in the record.
  const auto without_entry = passage.left_ns ? AlignedCollective::Part::kForgotten : AlignedCollective::Part::kBegun;
  rank.part = passage.entered_ns ? AlignedCollective::Part::kEntered : without_entry;
  if (!passage.entered_ns) return rank;
  rank.entered = Seconds(first_ns, *passage.entered_ns);
  rank.seconds = passage.left_ns ? Seconds(*passage.entered_ns, *passage.left_ns) : -1;
  return rank;
}

AlignedCollective Align(uint64_t number, std::span<const Passages> ranks) {
  AlignedCollective aligned;
  aligned.number = number;
  const Event* lowest = nullptr;
  int64_t first_ns = std::numeric_limits<int64_t>::max();
  for (const Passages& passages : ranks) {
    const auto found = passages.find(number);
    if (found == passages.end()) continue;
    if (lowest == nullptr) lowest = found->second.first;
    if (found->second.entered_ns) first_ns = std::min(first_ns, *found->second.entered_ns);
  }
  aligned.kind = lowest->kind();
  aligned.bytes = lowest->bytes();
  if (lowest->has_step()) aligned.step = lowest->step();
  for (const Passages& passages : ranks) {
    AlignedCollective::Rank& rank = aligned.ranks.emplace_back();
    const auto found = passages.find(number);
    if (found == passages.end()) {
      if (!passages.empty() && number < passages.begin()->first) rank.part = AlignedCollective::Part::kForgotten;
      continue;
    }
    rank = RankIn(found->second, first_ns);
    rank.differs = rank.kind != aligned.kind || rank.bytes != aligned.bytes;
  }
  return aligned;
}

}  // namespace

std::vector<AlignedCollective> AlignCollectives(std::span<const FlightRecord> records, size_t last) {
  std::vector<Passages> ranks;
  std::vector<uint64_t> numbers;
  for (const FlightRecord& record : records) {
    ranks.push_back(PassagesOf(record));
    for (const auto& [number, passage] : ranks.back()) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  if (numbers.size() > last) numbers.erase(numbers.begin(), numbers.end() - static_cast<ptrdiff_t>(last));
  std::vector<AlignedCollective> aligned;
  for (const uint64_t number : numbers) aligned.push_back(Align(number, ranks));
  return aligned;
}

}  // namespace lockstep::comm
