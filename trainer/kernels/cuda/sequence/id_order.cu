#include "trainer/kernels/cuda/sequence/id_order.h"

#include <utility>

#include "trainer/kernels/cuda/blocks/launch.h"

namespace lockstep::cuda {
namespace {

constexpr int kDigitBits = 6;
constexpr int kDigits = 1 << kDigitBits;
constexpr int kSortThreads = 256;
constexpr int kItems = 8;  ///< of a thread: neighbours
constexpr int kSegments = kSortThreads / kDigits;
constexpr int kSegmentThreads = kSortThreads / kSegments;

int64_t SortBlocks(int64_t count) { return BlocksFor(count, kSortThreads, kItems); }

/// One digit of a sort by it: how often each thread of a block has each value. Rows are odd numbers of words, so that
/// threads side by side meet in no bank.
struct DigitCounts {
  uint16_t of[kSortThreads][kDigits + 2];
};

/// What a pass reads: the ids themselves at first, then what the pass before wrote.
struct DigitPass {
  const int32_t* ids;  ///< nullptr: `from`
  const IdPosition* from;
  int64_t count, entries;
  int shift;

  LOCKSTEP_HD IdPosition At(int64_t i) const {
    if (ids == nullptr) return from[i];
    const int32_t id = ids[i];
    return {id >= 0 && id < entries ? id : static_cast<int32_t>(entries), static_cast<int32_t>(i)};
  }
  LOCKSTEP_HD int Digit(const IdPosition& item) const {
    return static_cast<int>((static_cast<uint32_t>(item.id) >> shift) & (kDigits - 1));
  }
  /// Reads a thread's items and counts their digits; returns how many there are.
  LOCKSTEP_HD int Count(int64_t block, int thread, uint16_t* counts, IdPosition (&items)[kItems]) const {
    const int64_t first = (block * kSortThreads + thread) * kItems;
    for (int d = 0; d < kDigits; ++d) counts[d] = 0;
    int n = 0;
    LOCKSTEP_UNROLL
    for (int i = 0; i < kItems; ++i) {
      if (first + i >= count) continue;
      items[i] = At(first + i);
      ++counts[Digit(items[i])];
      ++n;
    }
    return n;
  }
};

/// counts[block * kDigits + digit]: of the block's items.
struct CountDigits {
  static constexpr int kThreads = kSortThreads;
  using Shared = DigitCounts;

  DigitPass pass;
  uint32_t* counts;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      IdPosition items[kItems];
      pass.Count(block.index(), t, shared.of[t], items);
    });
    block.ForEachThread([&](int t) {
      if (t >= kDigits) return;
      uint32_t sum = 0;
      for (int thread = 0; thread < kThreads; ++thread) sum += shared.of[thread][t];
      counts[block.index() * kDigits + t] = sum;
    });
  }
};

/// Writes each item behind all of smaller digits, and behind those of its own digit that come before it.
struct ScatterDigits {
  static constexpr int kThreads = kSortThreads;
  struct Shared {
    DigitCounts threads;  ///< then: of threads before, within the segment
    uint32_t segment[kSegments][kDigits];
    uint32_t before[kSegments][kDigits], all[kSegments][kDigits];  ///< of blocks before this one; of all
    uint32_t total[kDigits], start[kDigits];
  };

  DigitPass pass;
  const uint32_t* counts;
  int64_t blocks;
  IdPosition* to;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    PerThread<Items, kThreads> items;
    block.ForEachThread(
        [&](int t) { items[t].count = pass.Count(block.index(), t, shared.threads.of[t], items[t].at); });
    block.ForEachThread([&](int t) {
      const int segment = t / kDigits, digit = t % kDigits;
      uint32_t sum = 0;
      for (int i = 0; i < kSegmentThreads; ++i) {
        uint16_t& count = shared.threads.of[segment * kSegmentThreads + i][digit];
        const uint32_t mine = count;
        count = static_cast<uint16_t>(sum);
        sum += mine;
      }
      shared.segment[segment][digit] = sum;
      SumBlocks(shared, block.index(), segment, digit);
    });
    block.ForEachThread([&](int t) {
      if (t >= kDigits) return;
      uint32_t before = 0, all = 0;
      for (int s = 0; s < kSegments; ++s) before += shared.before[s][t], all += shared.all[s][t];
      shared.total[t] = all;
      shared.start[t] = before;
    });
    block.ForEachThread([&](int t) {
      if (t >= kDigits) return;
      uint32_t start = shared.start[t];
      for (int smaller = 0; smaller < t; ++smaller) start += shared.total[smaller];
      shared.start[t] = start;
    });
    block.ForEachThread([&](int t) {
      LOCKSTEP_UNROLL
      for (int i = 0; i < kItems; ++i) {
        if (i < items[t].count) to[Target(shared, t, pass.Digit(items[t].at[i]))] = items[t].at[i];
      }
    });
  }

 private:
  struct Items {
    IdPosition at[kItems];
    int count;
  };

  /// Every kSegments-th block.
  LOCKSTEP_HD void SumBlocks(Shared& shared, int64_t block, int segment, int digit) const {
    uint32_t before = 0, all = 0;
    for (int64_t b = segment; b < blocks; b += kSegments) {
      const uint32_t count = counts[b * kDigits + digit];
      if (b < block) before += count;
      all += count;
    }
    shared.before[segment][digit] = before;
    shared.all[segment][digit] = all;
  }

  /// Where the thread's next item of this digit goes.
  LOCKSTEP_HD uint32_t Target(Shared& shared, int thread, int digit) const {
    uint32_t target = shared.start[digit] + shared.threads.of[thread][digit]++;
    for (int s = 0; s < thread / kSegmentThreads; ++s) target += shared.segment[s][digit];
    return target;
  }
};

/// starts[id] is the first position of `sorted` whose id is at least `id`.
struct FindStarts {
  static constexpr int kThreads = 128;

  const IdPosition* sorted;
  int64_t count, entries;
  int32_t* starts;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t id = block.index() * kThreads + t;
      if (id > entries) return;
      int64_t begin = 0, end = count;
      while (begin < end) {
        const int64_t middle = (begin + end) / 2;
        if (sorted[middle].id < id) {
          begin = middle + 1;
        } else {
          end = middle;
        }
      }
      starts[id] = static_cast<int32_t>(begin);
    });
  }
};

/// Digits of ids up to `entries`.
int Passes(int64_t entries) {
  int passes = 1;
  while (entries >> (passes * kDigitBits) != 0) ++passes;
  return passes;
}

}  // namespace

size_t IdOrderBytes(int64_t count, int64_t entries) {
  return static_cast<size_t>(2 * count) * sizeof(IdPosition) +
         static_cast<size_t>(SortBlocks(count) * kDigits) * sizeof(uint32_t) +
         static_cast<size_t>(entries + 1) * sizeof(int32_t);
}

IdOrder IdOrderIn(std::byte* workspace, int64_t count, int64_t entries) {
  auto* const sorted = reinterpret_cast<IdPosition*>(workspace);
  auto* const counts = reinterpret_cast<uint32_t*>(sorted + 2 * count);
  auto* const starts = reinterpret_cast<int32_t*>(counts + SortBlocks(count) * kDigits);
  return {count, entries, sorted, starts, sorted + count, counts};
}

void LaunchIdOrder(DeviceStream& stream, const int32_t* ids, const IdOrder& order) {
  const int passes = Passes(order.entries);
  const int64_t blocks = SortBlocks(order.count);
  // The last pass writes to `sorted`.
  IdPosition *to = passes % 2 == 1 ? order.sorted : order.scratch,
             *from = passes % 2 == 1 ? order.scratch : order.sorted;
  for (int i = 0; i < passes; ++i) {
    const DigitPass pass{i == 0 ? ids : nullptr, from, order.count, order.entries, i * kDigitBits};
    Launch(stream, blocks, CountDigits{pass, order.counts});
    Launch(stream, blocks, ScatterDigits{pass, order.counts, blocks, to});
    std::swap(from, to);
  }
  Launch(stream, BlocksFor(order.entries + 1, FindStarts::kThreads, 1),
         FindStarts{order.sorted, order.count, order.entries, order.starts});
}

}  // namespace lockstep::cuda
