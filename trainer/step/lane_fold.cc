#include "trainer/step/lane_fold.h"

#include <algorithm>

#include "base/bfloat16.h"
#include "base/error.h"
#include "base/isa_clones.h"

namespace lockstep::step {
namespace {

// Elements that are folded through the whole stack before the next ones: they stay in the first-level cache.
constexpr int64_t kBlock = 2048;

LOCKSTEP_ISA_CLONES void AddTo(const float* a, const float* b, float* sum, int64_t n) {
  for (int64_t i = 0; i < n; ++i) sum[i] = a[i] + b[i];
}
LOCKSTEP_ISA_CLONES void AddTo(const BFloat16* a, const BFloat16* b, BFloat16* sum, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) sum[i] = BFloat16::From(a[i].Float() + b[i].Float());
}

/// What entries hold of a gradient: itself, or rounded into `rounded`.
const float* AsEntry(const float* gradient, float* /*rounded*/, int64_t /*n*/) { return gradient; }
LOCKSTEP_ISA_CLONES const BFloat16* AsEntry(const float* __restrict gradient, BFloat16* __restrict rounded, int64_t n) {
  for (int64_t i = 0; i < n; ++i) rounded[i] = BFloat16::From(gradient[i]);
  return rounded;
}

}  // namespace

LaneFold::LaneFold(int lanes, std::span<const LaneRange> nodes, std::span<std::byte* const> pieces, int64_t elements,
                   DType wire)
    : leaves_(plan::FoldLeaves(lanes, nodes)), pieces_(pieces.begin(), pieces.end()), wire_(wire) {
  CHECK(!nodes.empty() && nodes.size() == pieces.size());
  first_lane_ = nodes.front().begin;
  for (int entry = plan::FoldStackEntries(lanes, nodes); entry > 0; --entry)
    stack_.emplace_back(static_cast<size_t>(elements * SizeOf(wire)));
}

std::byte* LaneFold::Entry(const plan::FoldLeaf& leaf, int depth) const {
  return depth == 0 ? pieces_[leaf.node] : stack_[static_cast<size_t>(depth - 1)].data();
}

float* LaneFold::DirectTarget(int lane) const {
  const size_t index = static_cast<size_t>(lane - first_lane_);
  if (wire_ != DType::kF32 || !plan::IsPieceByItself(leaves_, index)) return nullptr;
  return reinterpret_cast<float*>(pieces_[leaves_[index].node]);
}

void LaneFold::Add(int lane, int64_t begin, int64_t end, const float* gradient) {
  const plan::FoldLeaf& leaf = leaves_[static_cast<size_t>(lane - first_lane_)];
  if (wire_ == DType::kF32) {
    AddAs<float>(leaf, begin, end, gradient);
  } else {
    AddAs<BFloat16>(leaf, begin, end, gradient);
  }
}

template <typename T>
void LaneFold::AddAs(const plan::FoldLeaf& leaf, int64_t begin, int64_t end, const float* gradient) {
  const auto entry = [&](int depth) { return reinterpret_cast<T*>(Entry(leaf, depth)); };
  T* const target = entry(leaf.target());
  if (static_cast<const void*>(target) == gradient) return;
  for (int64_t at = begin; at < end; at += kBlock) {
    const int64_t n = std::min(kBlock, end - at);
    // The last addition reads the entry that it overwrites, so the ones before it go to a block of their own.
    alignas(64) T partial[kBlock];
    const T* sum = AsEntry(gradient + at, partial, n);
    if (leaf.additions == 0) std::copy_n(sum, n, target + at);
    for (int k = 1; k <= leaf.additions; ++k) {
      T* result = k == leaf.additions ? target + at : partial;
      AddTo(entry(leaf.depth - k) + at, sum, result, n);
      sum = result;
    }
  }
}

}  // namespace lockstep::step
