// Reductions over any dimensions. Up to kRowBlock terms are folded in float, side by side in vectors, and then in
// double; the order follows from the shape alone, since a team shares out results, never the terms of one.
#include <algorithm>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"
#include "trainer/kernels/reductions.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;
using graph::ReduceFunction;
using kernels::Reduction;

/// Elements that a team's thread should have to go through at least.
constexpr int64_t kLeastElements = 16384;
/// Columns whose totals lie on the stack.
constexpr int64_t kBlockColumns = 512;

/// The folds of what a reduction goes through.
enum class Fold { kSum, kMax, kMin, kProduct, kEquals, kZeros, kNonzeros };

struct FoldJob {
  Reduction reduction;
  Fold fold;
  double factor;  ///< of results: 1, or of a mean 1 / n
  const float* x;
  const float* y;  ///< what kEquals compares with; nullptr for the others
  float* result;

  int64_t column_blocks() const { return (reduction.columns + kBlockColumns - 1) / kBlockColumns; }
  /// That threads share out: a result each, or a block of columns.
  int64_t pieces() const { return reduction.outer * column_blocks(); }
};

template <typename F>
LOCKSTEP_HD float FoldRun(const float* x, float y, int64_t n) {
  const F8 same = F8{} + y;
  F8 a = F8{} + F::kStart, b = a;
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    a = F::Fold(a, F::Element(Load<F8>(x + i), same));
    b = F::Fold(b, F::Element(Load<F8>(x + i + 8), same));
  }
  float total = F::kStart;
  if (i > 0) {
    a = F::Fold(a, b);
    total =
        F::Fold(F::Fold(F::Fold(a[0], a[4]), F::Fold(a[2], a[6])), F::Fold(F::Fold(a[1], a[5]), F::Fold(a[3], a[7])));
  }
  for (; i < n; ++i) total = F::Fold(total, F::Element(x[i], y));
  return total;
}

/// Result o, whose innermost terms are neighbours.
template <typename F>
LOCKSTEP_HD void FoldRows(const FoldJob& job, int64_t o) {
  constexpr int64_t kRun = 16 * kRowBlock;
  const Reduction& r = job.reduction;
  const float* x = job.x + r.kept.At(o);
  const float y = job.y != nullptr ? job.y[o] : 0.0f;
  double total = static_cast<double>(F::kStart);
  for (int64_t first = 0; first < r.terms; first += r.run) {
    const float* row = x + r.reduced.At(first);
    for (int64_t i = 0; i < r.run; i += kRun) {
      total = F::Fold(total, static_cast<double>(FoldRun<F>(row + i, y, std::min(kRun, r.run - i))));
    }
  }
  job.result[o] = static_cast<float>(total * job.factor);
}

/// Results of one block of columns.
template <typename F>
LOCKSTEP_HD void FoldColumns(const FoldJob& job, int64_t piece) {
  const Reduction& r = job.reduction;
  const int64_t o = piece / job.column_blocks(), first = piece % job.column_blocks() * kBlockColumns;
  const int64_t columns = std::min(kBlockColumns, r.columns - first), at = o * r.columns + first;
  const float* x = job.x + r.kept.At(o) + first;
  const float* y = job.y != nullptr ? job.y + at : nullptr;
  const kernels::Places terms = r.reduced;
  double totals[kBlockColumns];
  std::fill(totals, totals + columns, static_cast<double>(F::kStart));
  for (int64_t begin = 0; begin < r.terms; begin += kRowBlock) {
    const int64_t end = std::min(begin + kRowBlock, r.terms);
    ForEachTile(columns, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      Tile<V, N> folded, same{};
      for (int i = 0; i < N; ++i) folded.v[i] = V{} + F::kStart;
      if (y != nullptr) __builtin_memcpy(&same, y + k, sizeof same);
      for (int64_t term = begin; term < end; ++term) {
        const float* row = x + terms.At(term) + k;
        for (int i = 0; i < N; ++i) {
          folded.v[i] = F::Fold(folded.v[i], F::Element(Load<V>(row + i * kWidth<V>), same.v[i]));
        }
      }
      float lanes[Tile<V, N>::kColumns];
      __builtin_memcpy(lanes, &folded, sizeof lanes);
      for (int64_t j = 0; j < Tile<V, N>::kColumns; ++j) {
        totals[k + j] = F::Fold(totals[k + j], static_cast<double>(lanes[j]));
      }
    });
  }
  for (int64_t k = 0; k < columns; ++k) job.result[at + k] = static_cast<float>(totals[k] * job.factor);
}

template <typename F>
LOCKSTEP_HD void FoldPieces(const FoldJob& job, int64_t begin, int64_t end) {
  for (int64_t piece = begin; piece < end; ++piece) {
    if (job.reduction.columns > 1) {
      FoldColumns<F>(job, piece);
    } else {
      FoldRows<F>(job, piece);
    }
  }
}

LOCKSTEP_ISA_CLONES
void RunFold(const FoldJob& job, int64_t begin, int64_t end) {
  switch (job.fold) {
    case Fold::kSum:
      return FoldPieces<kernels::SumOf>(job, begin, end);
    case Fold::kMax:
      return FoldPieces<kernels::MaxOf>(job, begin, end);
    case Fold::kMin:
      return FoldPieces<kernels::MinOf>(job, begin, end);
    case Fold::kProduct:
      return FoldPieces<kernels::ProductOf>(job, begin, end);
    case Fold::kEquals:
      return FoldPieces<kernels::EqualsOf>(job, begin, end);
    case Fold::kZeros:
      return FoldPieces<kernels::ZerosOf>(job, begin, end);
    case Fold::kNonzeros:
      return FoldPieces<kernels::NonzerosOf>(job, begin, end);
  }
}

void RunFold(const FoldJob& job, int threads) {
  const int64_t each = job.reduction.terms * std::min(job.reduction.columns, kBlockColumns);
  ForEachPiece(threads, job.pieces(), std::max<int64_t>(1, kLeastElements / each),
               [&](int, int64_t begin, int64_t end) { RunFold(job, begin, end); });
}

Fold FoldOf(ReduceFunction function) {
  switch (function) {
    case ReduceFunction::kMax:
      return Fold::kMax;
    case ReduceFunction::kMin:
      return Fold::kMin;
    case ReduceFunction::kProduct:
      return Fold::kProduct;
    default:
      return Fold::kSum;
  }
}

double FactorOf(ReduceFunction function, const Reduction& reduction) {
  return function == ReduceFunction::kMean ? 1 / static_cast<double>(reduction.terms) : 1;
}

std::unique_ptr<Kernel> PrepareReduce(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::ReduceAttributes>();
  const Reduction reduction(context.InputShape(0), attributes.axes);
  const FoldJob job{.reduction = reduction,
                    .fold = FoldOf(attributes.function),
                    .factor = FactorOf(attributes.function, reduction),
                    .x = context.Input(0),
                    .y = nullptr,
                    .result = context.Output(0)};
  return MakeKernel([job, threads = context.threads] { RunFold(job, threads); });
}

/// The gradient goes line by line: neighbours in x that are all reduced into one result, or all into neighbours.
struct GradJob {
  Reduction reduction;
  ReduceFunction function;
  float factor;
  const float *dy, *x, *y, *count, *product;
  float* dx;

  int64_t line() const { return reduction.columns > 1 ? reduction.columns : reduction.run; }
  int64_t lines_each() const { return reduction.columns > 1 ? reduction.terms : reduction.terms / reduction.run; }
};

template <ReduceFunction kFunction>
LOCKSTEP_HD void GradLine(const GradJob& job, int64_t index) {
  const Reduction& r = job.reduction;
  const int64_t o = index / job.lines_each(), first = index % job.lines_each() * r.run, n = job.line();
  const int64_t at = r.kept.At(o) + r.reduced.At(first), step = r.columns > 1 ? 1 : 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t result = o * r.columns + i * step;
    kernels::ReducedElement e{.dy = job.dy[result], .x = 0, .y = 0, .count = 0, .product = 0};
    if constexpr (kFunction != ReduceFunction::kSum) e.x = job.x[at + i], e.count = job.count[result];
    if constexpr (kFunction == ReduceFunction::kMax) e.y = job.y[result];
    if constexpr (kFunction == ReduceFunction::kProduct) e.product = job.product[result];
    job.dx[at + i] = kernels::ReducedElementGrad(kFunction, job.factor, e);
  }
}

LOCKSTEP_ISA_CLONES
void RunGrad(const GradJob& job, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    switch (job.function) {
      case ReduceFunction::kMax:
      case ReduceFunction::kMin:
        GradLine<ReduceFunction::kMax>(job, i);
        break;
      case ReduceFunction::kProduct:
        GradLine<ReduceFunction::kProduct>(job, i);
        break;
      default:
        GradLine<ReduceFunction::kSum>(job, i);
    }
  }
}

/// What is counted in the workspace, result by result: ties, or zeros and what the others come to.
size_t ReduceGradWorkspace(const OpContext& context) {
  const ReduceFunction function = context.Attributes<graph::ReduceAttributes>().function;
  if (function == ReduceFunction::kSum || function == ReduceFunction::kMean) return 0;
  const size_t numbers = function == ReduceFunction::kProduct ? 2 : 1;
  return numbers * AlignUp(static_cast<size_t>(context.InputShape(0).size()) * sizeof(float), kValueAlignment);
}

std::unique_ptr<Kernel> PrepareReduceGrad(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::ReduceAttributes>();
  const Reduction reduction(context.OutputShape(0), attributes.axes);
  std::byte* workspace = context.operands.workspace;
  const size_t bytes = AlignUp(static_cast<size_t>(reduction.outputs()) * sizeof(float), kValueAlignment);
  auto* count = reinterpret_cast<float*>(workspace);
  auto* product = reinterpret_cast<float*>(workspace + bytes);
  const GradJob job{.reduction = reduction,
                    .function = attributes.function,
                    .factor = static_cast<float>(FactorOf(attributes.function, reduction)),
                    .dy = context.Input(0),
                    .x = context.Input(1),
                    .y = context.Input(2),
                    .count = count,
                    .product = product,
                    .dx = context.Output(0)};
  FoldJob counted{.reduction = reduction, .fold = Fold::kEquals, .factor = 1, .x = job.x, .y = job.y, .result = count};
  FoldJob others = counted;
  const bool is_product = attributes.function == ReduceFunction::kProduct;
  if (is_product) counted.fold = Fold::kZeros;
  others.fold = Fold::kNonzeros, others.result = product;
  const bool counts = ReduceGradWorkspace(context) > 0;
  return MakeKernel([=, threads = context.threads] {
    if (counts) RunFold(counted, threads);
    if (is_product) RunFold(others, threads);
    ForEachPiece(threads, reduction.outer * job.lines_each(), std::max<int64_t>(1, kLeastElements / job.line()),
                 [&](int, int64_t begin, int64_t end) { RunGrad(job, begin, end); });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kReduce, .prepare = PrepareReduce},
    {.kind = OpKind::kReduceGrad, .prepare = PrepareReduceGrad, .workspace_bytes = ReduceGradWorkspace},
};

}  // namespace

std::span<const KernelRow> ReduceRows() { return kRows; }

}  // namespace lockstep::onednn
