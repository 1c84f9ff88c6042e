#include "comm/slice_sum.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/isa_clones.h"

namespace lockstep::comm {
namespace {

// Intermediate sums stay in the first-level cache: a block of a few of them, beside the blocks being read.
constexpr size_t kBlock = 512;
constexpr size_t kMaxDepth = 24;  // more than a tree over 2^20 lanes needs

// `out` may be `a`; otherwise nothing overlaps.
LOCKSTEP_ISA_CLONES void Add(float* out, const float* a, const float* b, size_t count) {
#pragma GCC ivdep
  for (size_t i = 0; i < count; ++i) out[i] = a[i] + b[i];
}

LOCKSTEP_ISA_CLONES void AddFour(float* __restrict out, const float* a, const float* b, const float* c, const float* d,
                                 size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = (a[i] + b[i]) + (c[i] + d[i]);
}

// (p0 + p1) + (p2 + p3): what four equal runs of lanes make.
bool IsBalancedFour(const std::vector<LaneSumStep>& order) {
  if (order.size() != 7) return false;
  constexpr std::array<bool, 7> kAdds = {false, false, true, false, false, true, true};
  for (size_t i = 0; i < kAdds.size(); ++i) {
    if ((order[i].piece == LaneSumStep::kAdd) != kAdds[i]) return false;
  }
  return true;
}

}  // namespace

SliceSum::SliceSum(std::vector<const float*> pieces, std::vector<LaneSumStep> order)
    : pieces_(std::move(pieces)), order_(std::move(order)) {
  CHECK(!order_.empty() && order_.size() == 2 * pieces_.size() - 1, "{} steps for {} pieces", order_.size(),
        pieces_.size());
  const int depth = LaneSumDepth(order_);
  CHECK(static_cast<size_t>(depth) <= kMaxDepth, "a stack of {}", depth);
}

void SliceSum::Evaluate(int64_t offset, std::span<float> sum) const {
  const auto piece = [&](size_t step) { return pieces_[static_cast<size_t>(order_[step].piece)] + offset; };
  if (order_.size() == 1) {
    if (sum.data() != piece(0)) std::memcpy(sum.data(), piece(0), sum.size_bytes());
  } else if (order_.size() == 3) {
    Add(sum.data(), piece(0), piece(1), sum.size());
  } else if (IsBalancedFour(order_)) {
    AddFour(sum.data(), piece(0), piece(1), piece(3), piece(4), sum.size());
  } else {
    for (size_t begin = 0; begin < sum.size(); begin += kBlock) {
      const int64_t block_offset = offset + static_cast<int64_t>(begin);
      EvaluateBlock(block_offset, sum.subspan(begin, std::min(kBlock, sum.size() - begin)));
    }
  }
}

void SliceSum::EvaluateBlock(int64_t offset, std::span<float> sum) const {
  alignas(64) float blocks[kMaxDepth][kBlock];
  // The stack holds addresses: of a piece's block, which is read where it lies, or of a sum in blocks[its depth].
  std::array<const float*, kMaxDepth> stack;
  size_t depth = 0;
  for (const LaneSumStep& step : order_) {
    if (step.piece != LaneSumStep::kAdd) {
      stack[depth++] = pieces_[static_cast<size_t>(step.piece)] + offset;
      continue;
    }
    --depth;
    float* out = &step == &order_.back() ? sum.data() : blocks[depth - 1];
    Add(out, stack[depth - 1], stack[depth], sum.size());
    stack[depth - 1] = out;
  }
}

}  // namespace lockstep::comm
