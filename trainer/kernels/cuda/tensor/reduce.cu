// Reductions over any dimensions. Terms that are neighbours are read by teams of threads, a team per result; where the
// results are neighbours, threads lie side by side along them. Where results are few, their terms are cut into slices,
// whose folds a second kernel folds. Threads fold up to 64 packs in float, all else is in double.
#include "trainer/kernels/cuda/blocks/row_teams.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/reductions.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;
using graph::ReduceFunction;
using kernels::Reduction;

constexpr int kPacksInFloat = 64;

/// How the terms of each result are cut, from shapes alone.
struct Slices {
  int64_t count = 1, size = 0;

  /// About a thousand blocks where there is that much to do, but no slices of less than `least` terms.
  static Slices Of(int64_t terms, int64_t blocks, int64_t least) {
    constexpr int64_t kBlocks = 1024, kMost = 512;
    int64_t most = kBlocks / (blocks < kBlocks ? blocks : kBlocks);
    if (most > kMost) most = kMost;
    const int64_t size = BlocksFor(BlocksFor(terms, static_cast<int>(most), 1), static_cast<int>(least), 1) * least;
    return {(terms + size - 1) / size, size};
  }
};

/// What both kernels write: results, or the slices' folds.
template <typename T>
struct Folded {
  double factor;
  int64_t slices;
  double* partial;  ///< [slices, results]; where there is more than one slice
  T* result;
  int64_t results;

  LOCKSTEP_HD void Write(int64_t at, int64_t slice, double total) const {
    if (slices == 1) {
      result[at] = FromFloat<T>(static_cast<float>(total * factor));
    } else {
      partial[slice * results + at] = total;
    }
  }
};

/// Folds packs in float, and every kPacksInFloat of them in double.
template <typename F, int kPack>
class PackFold {
 public:
  LOCKSTEP_HD PackFold() {
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) totals[i] = static_cast<double>(F::kStart);
    Restart();
  }
  LOCKSTEP_HD void Add(const float* x, const float* y) {
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) folds_[i] = F::Fold(folds_[i], F::Element(x[i], y[i]));
    if (++packs_ == kPacksInFloat) Flush();
  }
  LOCKSTEP_HD void Flush() {
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) totals[i] = F::Fold(totals[i], static_cast<double>(folds_[i]));
    Restart();
  }

  double totals[kPack];

 private:
  LOCKSTEP_HD void Restart() {
    packs_ = 0;
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) folds_[i] = F::kStart;
  }

  float folds_[kPack];
  int packs_;
};

/// A team of threads for each slice of each result.
template <typename F, typename T, typename R, int kPack>
struct FoldRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    double totals[kThreads];
  };

  Reduction reduction;
  RowPlan plan;  ///< a row is a slice of a result
  const T* x;
  const T* y;
  Folded<R> folded;

  LOCKSTEP_HD double ReadSlice(int64_t row, int thread) const {
    const Quotient at = Divide(row, folded.slices);
    const T* data = x + reduction.kept.At(at.quotient);
    float same[kPack] = {};
    if (y != nullptr) {
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) same[i] = ToFloat(y[at.quotient]);
    }
    PackFold<F, kPack> fold;
    const int64_t begin = at.remainder * plan.size;
    plan.ForEachPack<kPack>(thread, [&](int64_t i) {
      if (begin + i >= reduction.terms) return;
      float values[kPack];
      LoadPack<kPack>(data + reduction.reduced.At(begin + i), values);
      fold.Add(values, same);
    });
    fold.Flush();
    double total = static_cast<double>(F::kStart);
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) total = F::Fold(total, fold.totals[i]);
    return total;
  }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      shared.totals[t] = row < plan.rows ? ReadSlice(row, t) : 0.0;
    });
    FoldTeams(block, plan, shared.totals, [](double a, double b) { return F::Fold(a, b); });
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (!plan.Leads(t) || row >= plan.rows) return;
      const Quotient at = Divide(row, folded.slices);
      folded.Write(at.quotient, at.remainder, shared.totals[t]);
    });
  }
};

/// How threads cover the columns of a reduction: `across` lie side by side, the others step down the terms.
struct ColumnTiles {
  int across = 1;
  int64_t tiles = 1;

  ColumnTiles(int64_t columns, int pack) {
    while (across < 32 && int64_t{across} * pack < columns) across *= 2;
    tiles = BlocksFor(columns, across, pack);
  }
  LOCKSTEP_HD int down() const { return kRowThreads / across; }
};

template <typename F, typename T, typename R, int kPack>
struct FoldColumns {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    double totals[kThreads * kPack];
  };

  Reduction reduction;
  ColumnTiles tiles;
  int64_t slice_size;
  const T* x;
  const T* y;
  Folded<R> folded;

  struct Place {
    int64_t slice, outer, column;
  };
  /// Slices of one tile follow each other.
  LOCKSTEP_HD Place At(int64_t block, int thread) const {
    const Quotient tile = Divide(block, folded.slices), row = Divide(tile.quotient, tiles.tiles);
    return {tile.remainder, row.quotient, (row.remainder * tiles.across + thread % tiles.across) * kPack};
  }

  LOCKSTEP_HD void ReadSlice(const Place& place, int thread, double* totals) const {
    const T* data = x + reduction.kept.At(place.outer) + place.column;
    float same[kPack] = {};
    if (y != nullptr) LoadPack<kPack>(y + place.outer * reduction.columns + place.column, same);
    const int64_t begin = place.slice * slice_size;
    const int64_t end = begin + slice_size < reduction.terms ? begin + slice_size : reduction.terms;
    PackFold<F, kPack> fold;
    for (int64_t term = begin + thread / tiles.across; term < end; term += tiles.down()) {
      float values[kPack];
      LoadPack<kPack>(data + reduction.reduced.At(term), values);
      fold.Add(values, same);
    }
    fold.Flush();
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) totals[i] = fold.totals[i];
  }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      const Place place = At(block.index(), t);
      if (place.column < reduction.columns) ReadSlice(place, t, shared.totals + t * kPack);
    });
    for (int half = tiles.down() / 2; half > 0; half /= 2) {
      block.ForEachThread([&](int t) {
        if (t / tiles.across >= half) return;
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          double& mine = shared.totals[t * kPack + i];
          mine = F::Fold(mine, shared.totals[(t + half * tiles.across) * kPack + i]);
        }
      });
    }
    block.ForEachThread([&](int t) {
      const Place place = At(block.index(), t);
      if (t >= tiles.across || place.column >= reduction.columns) return;
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        folded.Write(place.outer * reduction.columns + place.column + i, place.slice, shared.totals[t * kPack + i]);
      }
    });
  }
};

/// Results from their slices' folds.
template <typename F, typename R>
struct FoldSlices {
  static constexpr int kThreads = 256;

  Folded<R> folded;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = block.index() * kThreads + t;
      if (at >= folded.results) return;
      double total = folded.partial[at];
      for (int64_t slice = 1; slice < folded.slices; ++slice) {
        total = F::Fold(total, folded.partial[slice * folded.results + at]);
      }
      folded.result[at] = FromFloat<R>(static_cast<float>(total * folded.factor));
    });
  }
};

/// Elements that packs of `pack` may not straddle.
int64_t Innermost(const Reduction& r) { return r.columns > 1 ? r.columns : r.run; }

Slices SlicesOf(const Reduction& r, int pack) {
  if (r.columns > 1) {
    const ColumnTiles tiles(r.columns, pack);
    return Slices::Of(r.terms, r.outer * tiles.tiles, int64_t{tiles.down()} * 16);
  }
  constexpr int64_t kLeast = int64_t{kRowThreads} * 8 * kRowPacks;
  return Slices::Of(r.terms, PlanRows(r.outer, r.terms, pack).blocks(), kLeast);
}

/// For the slices' folds, whatever the packs.
size_t FoldWorkspace(const Reduction& r) {
  size_t bytes = 0;
  for (const int pack : {1, 4, 8}) {
    const Slices slices = SlicesOf(r, pack);
    const auto numbers = static_cast<size_t>(slices.count * r.outputs());
    if (slices.count > 1 && numbers * sizeof(double) > bytes) bytes = numbers * sizeof(double);
  }
  return bytes;
}

template <typename T, typename R>
struct FoldOperands {
  const T* x;
  const T* y;  ///< what EqualsOf compares with, or nullptr
  R* result;
  std::byte* workspace;
};

template <typename F, typename T, typename R>
void LaunchFold(DeviceStream& stream, const Reduction& r, double factor, const FoldOperands<T, R>& operands) {
  WithPack<T>({Innermost(r)}, [&]<int kPack>(std::integral_constant<int, kPack>) {
    const Slices slices = SlicesOf(r, kPack);
    const Folded<R> folded{factor, slices.count, reinterpret_cast<double*>(operands.workspace), operands.result,
                           r.outputs()};
    if (r.columns > 1) {
      const ColumnTiles tiles(r.columns, kPack);
      Launch(stream, r.outer * tiles.tiles * slices.count,
             FoldColumns<F, T, R, kPack>{r, tiles, slices.size, operands.x, operands.y, folded});
    } else {
      const RowPlan plan = PlanRows(r.outer * slices.count, slices.count > 1 ? slices.size : r.terms, kPack);
      Launch(stream, plan.blocks(), FoldRows<F, T, R, kPack>{r, plan, operands.x, operands.y, folded});
    }
    if (slices.count > 1) Launch(stream, BlocksFor(r.outputs(), 256, 1), FoldSlices<F, R>{folded});
  });
}

double FactorOf(ReduceFunction function, const Reduction& reduction) {
  return function == ReduceFunction::kMean ? 1 / static_cast<double>(reduction.terms) : 1;
}

size_t ReduceWorkspace(const OpContext& context) {
  return FoldWorkspace(Reduction(context.InputShape(0), context.Attributes<graph::ReduceAttributes>().axes));
}

std::unique_ptr<Kernel> PrepareReduce(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::ReduceAttributes>();
  const Reduction reduction(context.InputShape(0), attributes.axes);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    const FoldOperands<T, T> operands{context.Input<T>(0), nullptr, context.Output<T>(0), context.operands.workspace};
    return kernels::WithFunction(attributes.function, [&]<typename F>(F) {
      return MakeKernel([=, factor = FactorOf(attributes.function, reduction), stream = &context.stream] {
        LaunchFold<F>(*stream, reduction, factor, operands);
      });
    });
  });
}

template <typename T, int kPack>
struct ReduceGrad {
  static constexpr int kThreads = 256;

  kernels::Places elements;  ///< of dx, and where they lie in dy
  int64_t size;
  bool neighbours;  ///< a pack's results are neighbours, else one
  ReduceFunction function;
  float factor;
  const T *dy, *x, *y;
  const float *count, *product;
  T* dx;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t index = (block.index() * kThreads + t) * kPack;
      if (index >= size) return;
      const int64_t first = elements.At(index);
      float values[kPack] = {};
      if (x != nullptr) LoadPack<kPack>(x + index, values);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        const int64_t at = first + (neighbours ? i : 0);
        values[i] = kernels::ReducedElementGrad(function, factor,
                                                {.dy = ToFloat(dy[at]),
                                                 .x = values[i],
                                                 .y = y != nullptr ? ToFloat(y[at]) : 0.0f,
                                                 .count = count != nullptr ? count[at] : 0.0f,
                                                 .product = product != nullptr ? product[at] : 0.0f});
      }
      StorePack<kPack>(values, dx + index);
    });
  }
};

/// What the workspace of the gradient holds: ties, or zeros and what the others come to, by result, and slices' folds.
struct GradWorkspace {
  size_t product, folds, bytes;

  GradWorkspace(const Reduction& reduction, ReduceFunction function) {
    const bool counts = function != ReduceFunction::kSum && function != ReduceFunction::kMean;
    const size_t numbers = (static_cast<size_t>(reduction.outputs()) * sizeof(float) + 255) / 256 * 256;
    product = counts ? numbers : 0;
    folds = function == ReduceFunction::kProduct ? 2 * numbers : product;
    bytes = folds + (counts ? FoldWorkspace(reduction) : 0);
  }
};

size_t ReduceGradWorkspace(const OpContext& context) {
  const auto& attributes = context.Attributes<graph::ReduceAttributes>();
  return GradWorkspace(Reduction(context.OutputShape(0), attributes.axes), attributes.function).bytes;
}

template <typename T>
std::unique_ptr<Kernel> PrepareGradOf(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::ReduceAttributes>();
  const Reduction reduction(context.OutputShape(0), attributes.axes);
  const ReduceFunction function = attributes.function;
  const GradWorkspace layout(reduction, function);
  std::byte* const workspace = context.operands.workspace;
  const bool is_product = function == ReduceFunction::kProduct, counts = layout.product > 0;
  float* const count = counts ? reinterpret_cast<float*>(workspace) : nullptr;
  float* const product = is_product ? reinterpret_cast<float*>(workspace + layout.product) : nullptr;
  const FoldOperands<T, float> counted{context.Input<T>(1), is_product ? nullptr : context.Input<T>(2), count,
                                       workspace + layout.folds};
  const FoldOperands<T, float> others{counted.x, nullptr, product, workspace + layout.folds};
  const auto factor = static_cast<float>(FactorOf(function, reduction));
  return WithPack<T>({Innermost(reduction)}, [&]<int kPack>(std::integral_constant<int, kPack>) {
    const ReduceGrad<T, kPack> kernel{
        reduction.elements,  context.OutputShape(0).size(), reduction.columns > 1, function, factor,
        context.Input<T>(0), context.Input<T>(1),           context.Input<T>(2),   count,    product,
        context.Output<T>(0)};
    return MakeKernel([=, stream = &context.stream] {
      if (is_product) {
        LaunchFold<kernels::ZerosOf>(*stream, reduction, 1, counted);
        LaunchFold<kernels::NonzerosOf>(*stream, reduction, 1, others);
      } else if (counts) {
        LaunchFold<kernels::EqualsOf>(*stream, reduction, 1, counted);
      }
      Launch(*stream, BlocksFor(kernel.size, kernel.kThreads, kPack), kernel);
    });
  });
}

std::unique_ptr<Kernel> PrepareReduceGrad(const KernelContext& context) {
  return WithElementType(context.InputType(0), [&]<typename T>(T) { return PrepareGradOf<T>(context); });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kReduce, .prepare = PrepareReduce, .workspace_bytes = ReduceWorkspace},
    {.kind = OpKind::kReduceGrad, .prepare = PrepareReduceGrad, .workspace_bytes = ReduceGradWorkspace},
};

}  // namespace

std::span<const KernelRow> ReduceRows() { return kRows; }

}  // namespace lockstep::cuda
