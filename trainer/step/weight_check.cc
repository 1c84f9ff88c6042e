#include "trainer/step/weight_check.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "comm/agreement.h"

namespace lockstep::step {
namespace {

constexpr char kHint[] =
    "its memory is faulty, or something wrote into it: start again from the last checkpoint, elsewhere if it happens "
    "again";

}  // namespace

uint64_t WeightCheck::HashSlice(ElementRange slice) const {
  return Hash64(
      std::as_bytes(weights_.view.subspan(static_cast<size_t>(slice.begin), static_cast<size_t>(slice.size()))));
}

std::string WeightCheck::TensorsIn(ElementRange slice) const {
  std::string first, last;
  for (const engine::ArenaEntry& entry : weights_.layout.entries())
    if (entry.offset < slice.end && slice.begin < entry.offset + entry.size()) {
      if (first.empty()) first = entry.name;
      last = entry.name;
    }
  return first == last ? first : fmt::format("{} to {}", first, last);
}

void WeightCheck::NoteOwned() {
  const comm::SliceMap& slices = weights_.slices;
  written_.resize(static_cast<size_t>(slices.buckets()));
  for (int bucket = 0; bucket < slices.buckets(); ++bucket)
    written_[static_cast<size_t>(bucket)] = HashSlice(slices.slice(bucket, comm_.rank()));
  pending_.assign(written_.size(), 1);
}

void WeightCheck::CheckOwned(int bucket, uint64_t step) {
  const auto index = static_cast<size_t>(bucket);
  if (index >= pending_.size() || !pending_[index]) return;
  pending_[index] = 0;
  const int rank = comm_.rank();
  const ElementRange slice = weights_.slices.slice(bucket, rank);
  if (HashSlice(slice) != written_[index]) ThrowChangedIn(slice, step);
}

void WeightCheck::ThrowChanged(int64_t element, uint64_t step) const {
  ThrowChangedIn({element, element + kChunkElements}, step);
}

void WeightCheck::ThrowChangedIn(ElementRange slice, uint64_t step) const {
  throw Error(
      ErrorKind::kPeer,
      fmt::format("the weights in memory changed between steps {} and {}, in {}", step, step + 1, TensorsIn(slice)),
      comm_.topology().Name(), kHint);
}

uint64_t WeightCheck::CompareHosts(uint64_t step) {
  // The ranks of a host may share their weights.
  struct Holding {
    uint64_t holds, weights;
  };
  Holding mine = {weights_.holds, 0};
  if (mine.holds) mine.weights = engine::HashWeights(weights_.layout, weights_.view.data());
  std::vector<Holding> all(static_cast<size_t>(comm_.world_size()));
  comm_.Wait(*comm_.AllGather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all))),
             fmt::format("the comparison of weights at step {}", step));
  const uint64_t first = all.front().weights;
  const bool same =
      std::all_of(all.begin(), all.end(), [&](const Holding& other) { return !other.holds || other.weights == first; });
  if (same) return first;
  comm::Together(comm_, "the comparison of weights", [&] {
    const std::string difference = FindDifference();
    if (!difference.empty())
      throw Error(
          ErrorKind::kPeer,
          fmt::format("the weights in memory after step {} are not what their owners wrote, in {}", step, difference),
          "", kHint);
  });
  throw Error(ErrorKind::kInternal,
              fmt::format("hosts disagree on the weights after step {}, but not on any slice", step));
}

std::string WeightCheck::FindDifference() {
  const comm::SliceMap& slices = weights_.slices;
  NoteOwned();
  pending_.clear();
  std::vector<uint64_t> all(written_.size() * static_cast<size_t>(comm_.world_size()));
  comm_.Wait(*comm_.AllGather(std::as_bytes(std::span(written_)), std::as_writable_bytes(std::span(all))),
             "the owners' hashes");
  if (!weights_.holds) return "";
  for (int owner = 0; owner < comm_.world_size(); ++owner)
    for (int bucket = 0; bucket < slices.buckets(); ++bucket) {
      const ElementRange slice = slices.slice(bucket, owner);
      if (HashSlice(slice) != all[static_cast<size_t>(owner) * written_.size() + static_cast<size_t>(bucket)])
        return TensorsIn(slice);
    }
  return "";
}

}  // namespace lockstep::step
