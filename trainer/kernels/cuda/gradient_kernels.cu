#include "trainer/kernels/cuda/gradient_kernels.h"

#include "base/arena.h"
#include "base/bfloat16.h"
#include "base/philox.h"
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/conclude_step.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using optim::ChunkRecord;
using optim::ConclusionRules;
using optim::DeviceSlice;
using optim::FoldStep;
using optim::PieceSum;
using optim::SegmentRules;
using optim::StepOutcome;

// A chunk of the arena is one block's work: what norms are sums over.
constexpr auto kChunk = static_cast<int>(kChunkElements);
constexpr int kChunkThreads = 256;
// Elements that a thread reads at once: 16 bytes.
constexpr int kEach = 4;
using Four = Pack<float, kEach>;

LOCKSTEP_HD Four Load(const float* from) { return *reinterpret_cast<const Four*>(from); }
LOCKSTEP_HD void Store(const Four& values, float* to) { StoreWhole(values, to); }

/// Elements from `at` on of an array of sums: floats, or bf16.
template <typename T>
LOCKSTEP_HD Four LoadSums(const std::byte* sums, int64_t at) {
  Four values;
#ifdef __CUDA_ARCH__
  __builtin_assume(__isGlobal(sums));  // an address that was read from memory might be any
#endif
  LoadPack<kEach>(reinterpret_cast<const T*>(sums) + at, values.at);
  return values;
}

/// What sums of type T hold of it.
template <typename T>
LOCKSTEP_HD Four Rounded(Four values) {
  LOCKSTEP_UNROLL
  for (int i = 0; i < kEach; ++i) values.at[i] = ToFloat(FromFloat<T>(values.at[i]));
  return values;
}

LOCKSTEP_HD Four Add(const Four& a, const Four& b) {
  Four sum;
  LOCKSTEP_UNROLL
  for (int i = 0; i < kEach; ++i) sum.at[i] = a.at[i] + b.at[i];
  return sum;
}

LOCKSTEP_HD bool IsFinite(float x) { return (__builtin_bit_cast(uint32_t, x) & 0x7F800000u) != 0x7F800000u; }

/// Whether one of `count` ascending ranges holds element `at`.
LOCKSTEP_HD bool IsInRanges(const ElementRange* ranges, int count, int64_t at) {
  int low = 0, high = count;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (ranges[middle].end <= at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < count && ranges[low].begin <= at;
}

/// Of arenas of T. They and ranges are multiples of kEach elements: their edges are chunk edges.
template <typename T>
struct FoldRange {
  static constexpr int kThreads = 256;

  const FoldStep* step;
  const float* gradient;
  int64_t begin, end;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = begin + (block.index() * kThreads + t) * kEach;
      T* const target = reinterpret_cast<T*>(step->target);
      if (at >= end || static_cast<const void*>(target) == gradient) return;
      int k = 0;
      if (step->added != FoldStep::Added::kNone && IsInRanges(step->added_ranges, step->ranges, at)) {
        if (step->added == FoldStep::Added::kFirst) return;
        k = 1;
      }
      Four sum = Rounded<T>(Load(gradient + at));
      for (; k < step->additions; ++k) sum = Rounded<T>(Add(LoadSums<T>(step->addends[k], at), sum));
      StoreWhole(PackOf<T, kEach>(sum.at), target + at);
    });
  }
};

// Entries of the stack of a sum over pieces: in registers, so picked by comparison. A tree over 2^11 lanes.
constexpr int kDepth = 12;

/// chosen = value, where `condition` holds; element by element, so that all stays in registers.
LOCKSTEP_HD void Choose(bool condition, const Four& value, Four& chosen) {
  LOCKSTEP_UNROLL
  for (int i = 0; i < kEach; ++i) chosen.at[i] = condition ? value.at[i] : chosen.at[i];
}

/// Of pieces of T.
template <typename T>
LOCKSTEP_HD Four SumInOrder(const PieceSum& sum, int64_t at) {
  if (sum.count == 1) return LoadSums<T>(sum.pieces[0], at);
  if (sum.count == 2) return Rounded<T>(Add(LoadSums<T>(sum.pieces[0], at), LoadSums<T>(sum.pieces[1], at)));
  Four stack[kDepth] = {};
  int depth = 0;
  for (int step = 0; step < 2 * sum.count - 1; ++step) {
    const int32_t piece = sum.order[step];
    Four top = {};
    if (piece >= 0) top = LoadSums<T>(sum.pieces[piece], at);
    // Where two are added: `left` below `right`, the two topmost.
    Four left = {}, right = {};
    LOCKSTEP_UNROLL
    for (int d = 0; d < kDepth; ++d) {
      Choose(d == depth - 2, stack[d], left);
      Choose(d == depth - 1, stack[d], right);
    }
    Choose(piece < 0, Rounded<T>(Add(left, right)), top);
    depth += piece < 0 ? -1 : 1;
    LOCKSTEP_UNROLL
    for (int d = 0; d < kDepth; ++d) Choose(d == depth - 1, top, stack[d]);
  }
  return stack[0];
}

/// Which pieces of T are not finite at `at`, as a ChunkRecord has it.
template <typename T>
LOCKSTEP_HD uint64_t NonfinitePieces(const PieceSum& sum, int64_t at) {
  uint64_t found = 0;
  for (int piece = 0; piece < sum.count; ++piece) {
    const float value = ToFloat(reinterpret_cast<const T*>(sum.pieces[piece])[at]);
    const int bit = piece < ChunkRecord::kLastPiece ? piece : ChunkRecord::kLastPiece;
    if (!IsFinite(value)) found |= uint64_t{1} << bit;
  }
  return found;
}

/// The segment that holds element `at`, or the first behind it: the number of segments that end before it.
LOCKSTEP_HD int SegmentAt(const SegmentRules* rules, int segments, int64_t at) {
  int low = 0, high = segments;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (rules[middle].end <= at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/// What a chunk's threads do: sum pieces of T (or read a kept sum), look at it, update.
template <typename T, bool kSums, bool kUpdates>
struct ChunkWork {
  static constexpr int kThreads = kChunkThreads;
  // Element i of a chunk is added to sum i mod 16 (see optim::ChunkSumOfSquares).
  static constexpr int kSquares = 16;

  struct Shared {
    float sums[kChunk];
    double squares[kSquares];
    int32_t nonfinite[kThreads];  ///< place in the chunk; kChunk: none
  };

  PieceSum sum;
  DeviceSlice slice;
  float* sums;                ///< kept: written where kSums without kUpdates, read where kUpdates without kSums
  ChunkRecord* chunks;        ///< kSums
  const SegmentRules* rules;  ///< kUpdates, as are the next two
  int segments;
  const StepOutcome* outcome;  ///< null: nothing is scaled or skipped

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    if (kUpdates && outcome != nullptr && outcome->skip != 0) return;
    Shared& shared = block.template SharedAs<Shared>();
    const int64_t begin = block.index() * kChunk;  // in the slice
    const int size = static_cast<int>(slice.size - begin < kChunk ? slice.size - begin : kChunk);
    block.ForEachThread([&](int t) {
      int nonfinite = kChunk;
      for (int i = t * kEach; i < size; i += kThreads * kEach) {
        const Four values = kSums ? SumInOrder<T>(sum, begin + i) : Load(sums + begin + i);
        LOCKSTEP_UNROLL
        for (int k = kEach - 1; k >= 0; --k) {
          if (!IsFinite(values.at[k]) && i + k < nonfinite) nonfinite = i + k;
        }
        if (kSums) *reinterpret_cast<Four*>(shared.sums + i) = values;
        if (kSums && !kUpdates) Store(values, sums + begin + i);
        if (kUpdates) UpdateFour(values, begin + i);
      }
      shared.nonfinite[t] = nonfinite;
    });
    if (kSums) Record(block, shared, size);
  }

  LOCKSTEP_HD void UpdateFour(const Four& values, int64_t at) const {
    const int64_t element = slice.begin + at;
    const int segment = SegmentAt(rules, segments, element);
    if (segment == segments) return;
    const SegmentRules& rule = rules[segment];
    const float scale = outcome == nullptr ? 1.0f : outcome->gradient_scale;
    if (rule.kind == SegmentRules::Kind::kFrozen) return;
    // Not state[rule.ema]: the compiler would put the array into memory for that.
    float* const averages = rule.ema == 0 ? slice.state[0] : rule.ema == 1 ? slice.state[1] : slice.state[2];
    const int moments = optim::MomentsOf(rule.kind);
    Four weights = Load(slice.weights + at), first = {}, second = {}, average = {};
    if (moments > 0) first = Load(slice.state[0] + at);
    if (moments > 1) second = Load(slice.state[1] + at);
    if (rule.averages) average = Load(averages + at);
    LOCKSTEP_UNROLL
    for (int k = 0; k < kEach; ++k) {
      // Segments begin at multiples of a pack; padding behind them keeps its bits.
      if (element + k < rule.begin || element + k >= rule.end) continue;
      optim::UpdateElement(rule, scale, values.at[k], weights.at[k], {first.at[k], second.at[k], average.at[k]});
    }
    Store(weights, slice.weights + at);
    if (moments > 0) Store(first, slice.state[0] + at);
    if (moments > 1) Store(second, slice.state[1] + at);
    if (rule.averages) Store(average, averages + at);
  }

  template <typename Block>
  LOCKSTEP_HD void Record(Block& block, Shared& shared, int size) const {
    block.ForEachThread([&](int t) {
      if (t >= kSquares) return;
      double squares = 0;
      for (int i = t; i < size; i += kSquares) {
        squares += static_cast<double>(shared.sums[i]) * static_cast<double>(shared.sums[i]);
      }
      shared.squares[t] = squares;
    });
    TreeSum<kSquares>(block, shared.squares);
    block.ForEachThread([&](int t) {
      if (t != 0) return;
      int first = kChunk;
      for (int k = 0; k < kThreads; ++k) {
        if (shared.nonfinite[k] < first) first = shared.nonfinite[k];
      }
      ChunkRecord& record = chunks[block.index()];
      const int64_t at = block.index() * kChunk + first;  // in the slice
      record.squares = shared.squares[0];
      record.nonfinite = first == kChunk ? -1 : slice.begin + at;
      record.nonfinite_pieces = first == kChunk ? 0 : NonfinitePieces<T>(sum, at);
    });
  }
};

/// A chunk's hash is the sum of its elements' mixed bits: integers, so their order does not matter.
struct HashChunks {
  static constexpr int kThreads = kChunkThreads;
  struct Shared {
    uint64_t sums[kThreads];
  };

  DeviceSlice slice;
  uint64_t* hashes;  ///< written where `chunks` is null, else compared with
  ChunkRecord* chunks;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    const int64_t begin = block.index() * kChunk;
    const int64_t end = begin + kChunk < slice.size ? begin + kChunk : slice.size;
    block.ForEachThread([&](int t) {
      uint64_t sum = 0;
      for (int64_t i = begin + t * kEach; i < end; i += kThreads * kEach) {
        const Four values = Load(slice.weights + i);
        LOCKSTEP_UNROLL
        for (int k = 0; k < kEach; ++k) {
          const uint64_t place = static_cast<uint64_t>(slice.begin + i + k);
          sum += Mix64(place << 32 ^ __builtin_bit_cast(uint32_t, values.at[k]));
        }
      }
      shared.sums[t] = sum;
    });
    TreeSum<kThreads>(block, shared.sums);
    block.ForEachThread([&](int t) {
      if (t != 0) return;
      uint64_t& known = hashes[block.index()];
      if (chunks == nullptr) {
        known = shared.sums[0];
      } else {
        chunks[block.index()].changed = known == shared.sums[0] ? -1 : slice.begin + begin;
      }
    });
  }
};

int64_t ChunksOf(const DeviceSlice& slice) { return ChunkCount(slice.size); }

class CudaGradientKernels final : public optim::GradientKernels {
 public:
  void Fold(DeviceStream& stream, const FoldStep* step, DType wire, const float* gradient,
            ElementRange range) override {
    WithElementType(wire, [&](auto type) {
      using Work = FoldRange<decltype(type)>;
      Launch(stream, BlocksFor(range.size(), Work::kThreads, kEach), Work{step, gradient, range.begin, range.end});
    });
  }
  void Sum(DeviceStream& stream, const PieceSum& sum, const DeviceSlice& slice, float* sums,
           ChunkRecord* chunks) override {
    WithElementType(sum.wire, [&](auto type) {
      Launch(stream, ChunksOf(slice),
             ChunkWork<decltype(type), true, false>{sum, slice, sums, chunks, nullptr, 0, nullptr});
    });
  }
  void Update(DeviceStream& stream, const SegmentRules* rules, int segments, const StepOutcome* outcome,
              const float* sums, const DeviceSlice& slice) override {
    Launch(stream, ChunksOf(slice),
           ChunkWork<float, false, true>{{}, slice, const_cast<float*>(sums), nullptr, rules, segments, outcome});
  }
  void SumAndUpdate(DeviceStream& stream, const PieceSum& sum, const SegmentRules* rules, int segments,
                    const DeviceSlice& slice, ChunkRecord* chunks) override {
    WithElementType(sum.wire, [&](auto type) {
      Launch(stream, ChunksOf(slice),
             ChunkWork<decltype(type), true, true>{sum, slice, nullptr, chunks, rules, segments, nullptr});
    });
  }
  void Hash(DeviceStream& stream, const DeviceSlice& slice, uint64_t* hashes) override {
    Launch(stream, ChunksOf(slice), HashChunks{slice, hashes, nullptr});
  }
  void CompareHashes(DeviceStream& stream, const DeviceSlice& slice, const uint64_t* hashes,
                     ChunkRecord* chunks) override {
    Launch(stream, ChunksOf(slice), HashChunks{slice, const_cast<uint64_t*>(hashes), chunks});
  }
  void Conclude(DeviceStream& stream, const ChunkRecord* chunks, int64_t count, int64_t parameter_chunks,
                const ConclusionRules& rules, StepOutcome* outcome) override {
    LaunchConclusion(stream, chunks, count, parameter_chunks, rules, outcome);
  }
};

}  // namespace

std::unique_ptr<optim::GradientKernels> MakeGradientKernels() { return std::make_unique<CudaGradientKernels>(); }

}  // namespace lockstep::cuda
