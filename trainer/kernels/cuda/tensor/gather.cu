// Lookup by a constant index, which kernels get with their operands' addresses, some hundred places at a time.
#include <algorithm>
#include <numeric>
#include <vector>

#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

/// Readers and their places: 3.5 KiB of a kernel's 4 KiB of parameters.
struct Chunk {
  static constexpr int kMost = 448;
  int count = 0;
  bool goes_on = false;  ///< the first place's readers begin in the chunk before
  int32_t reader[kMost], place[kMost];
};

/// x [outer, k, inner], y [outer, n, inner].
struct GatherShape {
  int64_t outer = 1, k = 0, inner = 1, n = 0;

  GatherShape(const Shape& x, const graph::GatherAttributes& gather)
      : k(x.dim(gather.axis)), n(static_cast<int64_t>(gather.index->size())) {
    for (int d = 0; d < gather.axis; ++d) outer *= x.dim(d);
    for (int d = gather.axis + 1; d < x.rank(); ++d) inner *= x.dim(d);
  }
};

/// The index cut into chunks; by place, and then in the order of the index, where `by_place` says so.
std::vector<Chunk> ChunksOf(const std::vector<int32_t>& index, bool by_place) {
  std::vector<int32_t> order(index.size());
  std::iota(order.begin(), order.end(), 0);
  const auto place = [&](int32_t i) { return index[static_cast<size_t>(i)]; };
  if (by_place) std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return place(a) < place(b); });
  std::vector<Chunk> chunks;
  for (const int32_t i : order) {
    if (chunks.empty() || chunks.back().count == Chunk::kMost) {
      const bool goes_on = by_place && !chunks.empty() && chunks.back().place[Chunk::kMost - 1] == place(i);
      chunks.emplace_back().goes_on = goes_on;
    }
    Chunk& chunk = chunks.back();
    chunk.reader[chunk.count] = i;
    chunk.place[chunk.count++] = place(i);
  }
  return chunks;
}

/// Where a thread works: a pack of one reader, in one of the outer rows.
template <int kPack>
struct ReaderPack {
  int64_t outer, inner;
  int reader;

  LOCKSTEP_HD ReaderPack(const GatherShape& shape, const Chunk& chunk, int64_t thread) {
    const Quotient pack = Divide(thread, shape.inner / kPack), row = Divide(pack.quotient, chunk.count);
    outer = row.quotient;
    reader = static_cast<int>(row.remainder);
    inner = pack.remainder * kPack;
  }
};

template <typename T, int kPack>
struct GatherPacks {
  static constexpr int kThreads = 256;

  GatherShape shape;
  const T* x;
  T* y;
  Chunk chunk;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const ReaderPack<kPack> at(shape, chunk, block.index() * kThreads + t);
      if (at.outer >= shape.outer) return;
      const T* from = x + (at.outer * shape.k + chunk.place[at.reader]) * shape.inner + at.inner;
      T* to = y + (at.outer * shape.n + chunk.reader[at.reader]) * shape.inner + at.inner;
      *reinterpret_cast<Pack<T, kPack>*>(to) = *reinterpret_cast<const Pack<T, kPack>*>(from);
    });
  }
};

/// The first reader of each place adds up all of them.
template <typename T, int kPack>
struct AddReaders {
  static constexpr int kThreads = 256;

  GatherShape shape;
  const T* dy;
  T* dx;
  Chunk chunk;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const ReaderPack<kPack> at(shape, chunk, block.index() * kThreads + t);
      const int32_t place = chunk.place[at.reader];
      if (at.outer >= shape.outer || (at.reader > 0 && chunk.place[at.reader - 1] == place)) return;
      T* to = dx + (at.outer * shape.k + place) * shape.inner + at.inner;
      float sum[kPack] = {};
      if (at.reader == 0 && chunk.goes_on) LoadPack<kPack>(to, sum);
      for (int i = at.reader; i < chunk.count && chunk.place[i] == place; ++i) {
        float values[kPack];
        LoadPack<kPack>(dy + (at.outer * shape.n + chunk.reader[i]) * shape.inner + at.inner, values);
        LOCKSTEP_UNROLL
        for (int j = 0; j < kPack; ++j) sum[j] += values[j];
      }
      StorePack<kPack>(sum, to);
    });
  }
};

template <template <typename, int> typename Move, typename T>
std::unique_ptr<Kernel> PrepareMove(const KernelContext& context, const GatherShape& shape, std::vector<Chunk> chunks,
                                    size_t cleared) {
  return WithPack<T>({shape.inner}, [&]<int kPack>(std::integral_constant<int, kPack>) {
    return MakeKernel([shape, chunks = std::move(chunks), cleared, from = context.Input<T>(0),
                       to = context.Output<T>(0), stream = &context.stream] {
      if (cleared > 0) stream->Clear(to, cleared);
      for (const Chunk& chunk : chunks) {
        const Move<T, kPack> kernel{shape, from, to, chunk};
        Launch(*stream, BlocksFor(shape.outer * chunk.count * shape.inner, kernel.kThreads, kPack), kernel);
      }
    });
  });
}

std::unique_ptr<Kernel> PrepareGather(const KernelContext& context) {
  const auto& gather = context.Attributes<graph::GatherAttributes>();
  const GatherShape shape(context.InputShape(0), gather);
  std::vector<Chunk> chunks = ChunksOf(*gather.index, false);
  const int64_t bytes = SizeOf(context.InputType(0));
  if (bytes == 1) return PrepareMove<GatherPacks, uint8_t>(context, shape, std::move(chunks), 0);
  if (bytes == 2) return PrepareMove<GatherPacks, uint16_t>(context, shape, std::move(chunks), 0);
  return PrepareMove<GatherPacks, uint32_t>(context, shape, std::move(chunks), 0);
}

std::unique_ptr<Kernel> PrepareGatherGrad(const KernelContext& context) {
  const auto& gather = context.Attributes<graph::GatherAttributes>();
  const GatherShape shape(context.OutputShape(0), gather);
  const auto bytes = static_cast<size_t>(context.OutputShape(0).size() * SizeOf(context.OutputType(0)));
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return PrepareMove<AddReaders, T>(context, shape, ChunksOf(*gather.index, true), bytes);
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kGather, .prepare = PrepareGather},
    {.kind = OpKind::kGatherGrad, .prepare = PrepareGatherGrad},
};

}  // namespace

std::span<const KernelRow> GatherRows() { return kRows; }

}  // namespace lockstep::cuda
