#include "trainer/step/lane_fold.h"

#include <algorithm>

#include "base/error.h"
#include "base/isa_clones.h"

namespace lockstep::step {
namespace {

// Elements that are folded through the whole stack before the next ones: they stay in the first-level cache.
constexpr int64_t kBlock = 2048;

LOCKSTEP_ISA_CLONES void AddTo(const float* a, const float* b, float* sum, int64_t n) {
  for (int64_t i = 0; i < n; ++i) sum[i] = a[i] + b[i];
}

}  // namespace

LaneFold::LaneFold(int lanes, std::span<const LaneRange> nodes, std::span<float* const> pieces, int64_t elements)
    : leaves_(plan::FoldLeaves(lanes, nodes)), pieces_(pieces.begin(), pieces.end()) {
  CHECK(!nodes.empty() && nodes.size() == pieces.size());
  first_lane_ = nodes.front().begin;
  for (int entry = plan::FoldStackEntries(lanes, nodes); entry > 0; --entry)
    stack_.emplace_back(static_cast<size_t>(elements) * sizeof(float));
}

float* LaneFold::Entry(const plan::FoldLeaf& leaf, int depth) const {
  return depth == 0 ? pieces_[leaf.node] : reinterpret_cast<float*>(stack_[static_cast<size_t>(depth - 1)].data());
}

float* LaneFold::DirectTarget(int lane) const {
  const size_t index = static_cast<size_t>(lane - first_lane_);
  return plan::IsPieceByItself(leaves_, index) ? pieces_[leaves_[index].node] : nullptr;
}

void LaneFold::Add(int lane, int64_t begin, int64_t end, const float* gradient) {
  const plan::FoldLeaf& leaf = leaves_[static_cast<size_t>(lane - first_lane_)];
  float* target = Entry(leaf, leaf.target());
  if (target == gradient) return;
  for (int64_t at = begin; at < end; at += kBlock) {
    const int64_t n = std::min(kBlock, end - at);
    if (leaf.additions == 0) {
      std::copy_n(gradient + at, n, target + at);
      continue;
    }
    // The last addition reads the entry that it overwrites, so the ones before it go to a block of their own.
    alignas(64) float partial[kBlock];
    const float* sum = gradient + at;
    for (int k = 1; k <= leaf.additions; ++k) {
      float* result = k == leaf.additions ? target + at : partial;
      AddTo(Entry(leaf, leaf.depth - k) + at, sum, result, n);
      sum = result;
    }
  }
}

}  // namespace lockstep::step
