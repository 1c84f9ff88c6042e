#include "comm/slice_sum.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/bfloat16.h"
#include "base/error.h"
#include "base/isa_clones.h"

namespace lockstep::comm {
namespace {

// Intermediate sums stay in the first-level cache: a block of a few of them, beside the blocks being read.
constexpr size_t kBlock = 512;
constexpr size_t kMaxDepth = 24;  // more than a tree over 2^20 lanes needs

float Rounded(float x) { return BFloat16::From(x).Float(); }

// Each loop twice, for addends that are floats and for bf16; sums of the latter are floats that bf16 holds exactly.
// `out` may be `a`; otherwise nothing overlaps.
LOCKSTEP_ISA_CLONES void Add(float* out, const float* a, const float* b, size_t count) {
#pragma GCC ivdep
  for (size_t i = 0; i < count; ++i) out[i] = a[i] + b[i];
}
LOCKSTEP_ISA_CLONES void AddRounded(float* out, const float* a, const float* b, size_t count) {
#pragma GCC ivdep
  for (size_t i = 0; i < count; ++i) out[i] = Rounded(a[i] + b[i]);
}
LOCKSTEP_ISA_CLONES void Add(float* __restrict out, const BFloat16* a, const BFloat16* b, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = Rounded(a[i].Float() + b[i].Float());
}

LOCKSTEP_ISA_CLONES void AddFour(float* __restrict out, const float* a, const float* b, const float* c, const float* d,
                                 size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = (a[i] + b[i]) + (c[i] + d[i]);
}
LOCKSTEP_ISA_CLONES void AddFour(float* __restrict out, const BFloat16* a, const BFloat16* b, const BFloat16* c,
                                 const BFloat16* d, size_t count) {
  for (size_t i = 0; i < count; ++i)
    out[i] = Rounded(Rounded(a[i].Float() + b[i].Float()) + Rounded(c[i].Float() + d[i].Float()));
}

void Copy(float* out, const float* from, size_t count) {
  if (out != from) std::memcpy(out, from, count * sizeof(float));
}
LOCKSTEP_ISA_CLONES void Copy(float* __restrict out, const BFloat16* from, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = from[i].Float();
}

/// Of floats that bf16 holds exactly.
LOCKSTEP_ISA_CLONES void Narrow(BFloat16* __restrict out, const float* from, size_t count) {
  for (size_t i = 0; i < count; ++i) out[i] = BFloat16::From(from[i]);
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

std::vector<const std::byte*> AsBytes(const std::vector<const float*>& pieces) {
  std::vector<const std::byte*> bytes;
  for (const float* piece : pieces) bytes.push_back(reinterpret_cast<const std::byte*>(piece));
  return bytes;
}

}  // namespace

float SumAt(const std::byte* sums, int64_t element, DType wire) {
  if (wire == DType::kF32) return reinterpret_cast<const float*>(sums)[element];
  return reinterpret_cast<const BFloat16*>(sums)[element].Float();
}

SliceSum::SliceSum(std::vector<const std::byte*> pieces, std::vector<LaneSumStep> order, DType wire)
    : pieces_(std::move(pieces)), order_(std::move(order)), wire_(wire) {
  CHECK(!order_.empty() && order_.size() == 2 * pieces_.size() - 1, "{} steps for {} pieces", order_.size(),
        pieces_.size());
  const int depth = LaneSumDepth(order_);
  CHECK(static_cast<size_t>(depth) <= kMaxDepth, "a stack of {}", depth);
}

SliceSum::SliceSum(const std::vector<const float*>& pieces, std::vector<LaneSumStep> order)
    : SliceSum(AsBytes(pieces), std::move(order), DType::kF32) {}

void SliceSum::Evaluate(int64_t offset, std::span<float> sum) const {
  if (wire_ == DType::kF32) {
    EvaluateAs<float>(offset, sum);
  } else {
    EvaluateAs<BFloat16>(offset, sum);
  }
}

void SliceSum::Fold(std::span<std::byte> sum) const {
  if (wire_ == DType::kF32) {
    Evaluate(0, {reinterpret_cast<float*>(sum.data()), sum.size() / sizeof(float)});
    return;
  }
  auto* const narrow = reinterpret_cast<BFloat16*>(sum.data());
  const size_t count = sum.size() / sizeof(BFloat16);
  std::array<float, kBlock> block;
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t size = std::min(kBlock, count - begin);
    Evaluate(static_cast<int64_t>(begin), std::span(block).first(size));
    Narrow(narrow + begin, block.data(), size);
  }
}

template <typename T>
void SliceSum::EvaluateAs(int64_t offset, std::span<float> sum) const {
  const auto piece = [&](size_t step) {
    return reinterpret_cast<const T*>(pieces_[static_cast<size_t>(order_[step].piece)]) + offset;
  };
  if (order_.size() == 1) {
    Copy(sum.data(), piece(0), sum.size());
  } else if (order_.size() == 3) {
    Add(sum.data(), piece(0), piece(1), sum.size());
  } else if (IsBalancedFour(order_)) {
    AddFour(sum.data(), piece(0), piece(1), piece(3), piece(4), sum.size());
  } else {
    for (size_t begin = 0; begin < sum.size(); begin += kBlock) {
      const int64_t block_offset = offset + static_cast<int64_t>(begin);
      EvaluateBlock<T>(block_offset, sum.subspan(begin, std::min(kBlock, sum.size() - begin)));
    }
  }
}

template <typename T>
void SliceSum::EvaluateBlock(int64_t offset, std::span<float> sum) const {
  alignas(64) float blocks[kMaxDepth][kBlock];
  // The stack holds addresses: of a piece's block, which is read where it lies if it is of floats, or of a sum in
  // blocks[its depth].
  std::array<const float*, kMaxDepth> stack;
  size_t depth = 0;
  for (const LaneSumStep& step : order_) {
    if (step.piece != LaneSumStep::kAdd) {
      const T* piece = reinterpret_cast<const T*>(pieces_[static_cast<size_t>(step.piece)]) + offset;
      if constexpr (std::is_same_v<T, float>) {
        stack[depth] = piece;
      } else {
        Copy(blocks[depth], piece, sum.size());
        stack[depth] = blocks[depth];
      }
      ++depth;
      continue;
    }
    --depth;
    float* out = &step == &order_.back() ? sum.data() : blocks[depth - 1];
    if constexpr (std::is_same_v<T, float>) {
      Add(out, stack[depth - 1], stack[depth], sum.size());
    } else {
      AddRounded(out, stack[depth - 1], stack[depth], sum.size());
    }
    stack[depth - 1] = out;
  }
}

}  // namespace lockstep::comm
