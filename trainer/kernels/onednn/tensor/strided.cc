// Copies of views and their gradients, which are bound by memory: rows that lie without gaps in both layouts are
// copied, or filled, whole; transposes go in squares of 16, so that lines of cache are read and written whole.
#include <cstring>
#include <type_traits>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"
#include "trainer/kernels/strided_copy.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::CopyDimension;
using kernels::StridedCopy;

constexpr int64_t kSquare = 16;
/// Neighbours that are read together: whole rows of few channels, so that pages are visited once.
constexpr int64_t kBand = 64;
/// Elements that a team's thread should have to copy at least.
constexpr int64_t kLeastElements = 16384;

// Squares of 8 by 8 words in registers: to[i, k] = from[k, i].
LOCKSTEP_HD void TransposeSquare(const int32_t* from, int64_t from_step, int32_t* to, int64_t to_step) {
  I8 r[8], s[8];
  for (int k = 0; k < 8; ++k) __builtin_memcpy(&r[k], from + k * from_step, sizeof r[k]);
  for (int k = 0; k < 8; k += 2) {
    s[k] = __builtin_shufflevector(r[k], r[k + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    s[k + 1] = __builtin_shufflevector(r[k], r[k + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int k = 0; k < 8; k += 4) {
    for (int j = 0; j < 2; ++j) {
      r[k + j] = __builtin_shufflevector(s[k + j], s[k + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[k + j + 2] = __builtin_shufflevector(s[k + j], s[k + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int j = 0; j < 4; ++j) {
    s[j] = __builtin_shufflevector(r[j], r[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    s[j + 4] = __builtin_shufflevector(r[j], r[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  for (int i = 0; i < 8; ++i) __builtin_memcpy(to + i * to_step, &s[i], sizeof s[i]);
}

/// to[i * to_step + k] = from[k * from_step + i] for i < rows, k < columns.
template <typename T>
struct Band {
  const T* from;
  int64_t from_step;
  T* to;
  int64_t to_step, rows, columns;

  LOCKSTEP_HD void CopyEdge(int64_t first_row, int64_t last_row, int64_t first_column, int64_t last_column) const {
    for (int64_t i = first_row; i < last_row; ++i) {
      for (int64_t k = first_column; k < last_column; ++k) to[i * to_step + k] = from[k * from_step + i];
    }
  }
};

LOCKSTEP_ISA_CLONES
void TransposeWords(const Band<int32_t>& band) {
  const Band<int32_t> b = band;
  const int64_t whole_rows = b.rows / 8 * 8, whole_columns = b.columns / 8 * 8;
  for (int64_t k0 = 0; k0 < whole_columns; k0 += kSquare) {
    const int64_t k1 = std::min(k0 + kSquare, whole_columns);
    for (int64_t i = 0; i < whole_rows; i += 8) {
      for (int64_t k = k0; k < k1; k += 8) {
        TransposeSquare(b.from + k * b.from_step + i, b.from_step, b.to + i * b.to_step + k, b.to_step);
      }
    }
  }
  b.CopyEdge(0, whole_rows, whole_columns, b.columns);
  b.CopyEdge(whole_rows, b.rows, 0, b.columns);
}

template <typename T>
void TransposeBand(const Band<T>& band) {
  if constexpr (std::is_same_v<T, int32_t>) {
    TransposeWords(band);
  } else {
    for (int64_t k = 0; k < band.columns; k += kSquare) {
      band.CopyEdge(0, band.rows, k, std::min(k + kSquare, band.columns));
    }
  }
}

/// Goes through the outer dimensions of a copy, row-major, from an index on.
class Walk {
 public:
  Walk(const StridedCopy& copy, int64_t start) : copy_(copy), from_(copy.from_offset), to_(copy.to_offset) {
    for (int d = copy.count - 1; d >= 0; --d) {
      places_[d] = start % copy.dims[d].size;
      start /= copy.dims[d].size;
      from_ += places_[d] * copy.dims[d].from;
      to_ += places_[d] * copy.dims[d].to;
    }
  }
  int64_t from() const { return from_; }
  int64_t to() const { return to_; }
  void Next() {
    for (int d = copy_.count - 1; d >= 0; --d) {
      const CopyDimension& dim = copy_.dims[d];
      from_ += dim.from;
      to_ += dim.to;
      if (++places_[d] < dim.size) return;
      from_ -= dim.from * dim.size;
      to_ -= dim.to * dim.size;
      places_[d] = 0;
    }
  }

 private:
  const StridedCopy& copy_;
  int64_t from_, to_;
  int64_t places_[Shape::kMaxRank] = {};
};

/// A copy whose innermost dimension (and, of a transpose, the one along which neighbours are read) is apart.
struct CopyPlan {
  StridedCopy outer;
  CopyDimension row;            ///< where neighbours are written
  CopyDimension across;         ///< of a transpose: where neighbours are read, else of size 1
  int64_t units = 0, each = 0;  ///< that a team shares out: rows, or bands of a transpose; elements of one

  explicit CopyPlan(const StridedCopy& copy) : outer(copy) {
    if (outer.count > 0) row = outer.dims[--outer.count];
    if (row.size == 1) row = {1, 1, 1};
    if (row.from != 1 && row.to == 1 && row.from != 0) {
      for (int d = 0; d < outer.count; ++d) {
        if (outer.dims[d].from != 1) continue;
        across = outer.dims[d];
        std::copy(outer.dims + d + 1, outer.dims + outer.count, outer.dims + d);
        --outer.count;
        break;
      }
    }
    units = outer.size() * bands();
    each = row.size * std::min(across.size, kBand);
  }
  bool transposes() const { return across.size > 1; }
  int64_t bands() const { return (across.size + kBand - 1) / kBand; }
};

template <typename T>
void CopyRow(const CopyDimension& row, const T* from, T* to) {
  if (row.from == 1 && row.to == 1) {
    std::memcpy(to, from, static_cast<size_t>(row.size) * sizeof(T));
  } else if (row.from == 0 && row.to == 1) {
    std::fill(to, to + row.size, *from);
  } else {
    for (int64_t i = 0; i < row.size; ++i) to[i * row.to] = from[i * row.from];
  }
}

template <typename T>
void RunUnits(const CopyPlan& plan, const T* from, T* to, int64_t begin, int64_t end) {
  const int64_t bands = plan.bands();
  Walk walk(plan.outer, begin / bands);
  int64_t band = begin % bands;
  for (int64_t unit = begin; unit < end; ++unit) {
    if (plan.transposes()) {
      const int64_t first = band * kBand;
      TransposeBand(Band<T>{from + walk.from() + first, plan.row.from, to + walk.to() + first * plan.across.to,
                            plan.across.to, std::min(kBand, plan.across.size - first), plan.row.size});
    } else {
      CopyRow(plan.row, from + walk.from(), to + walk.to());
    }
    if (++band == bands) {
      band = 0;
      walk.Next();
    }
  }
}

template <typename T>
std::unique_ptr<Kernel> PrepareCopy(const KernelContext& context, const StridedCopy& copy, int64_t cleared) {
  return MakeKernel([plan = CopyPlan(copy), cleared, from = context.Input<T>(0), to = context.Output<T>(0),
                     threads = context.threads] {
    std::fill(to, to + cleared, T{});
    ForEachPiece(threads, plan.units, std::max<int64_t>(1, kLeastElements / plan.each),
                 [&](int, int64_t begin, int64_t end) { RunUnits(plan, from, to, begin, end); });
  });
}

std::unique_ptr<Kernel> PrepareStrided(const KernelContext& context) {
  const StridedCopy copy = StridedCopy::FromView(context.Attributes<graph::StridedAttributes>());
  const int64_t bytes = SizeOf(context.InputType(0));
  if (bytes == 1) return PrepareCopy<uint8_t>(context, copy, 0);
  if (bytes == 2) return PrepareCopy<uint16_t>(context, copy, 0);
  return PrepareCopy<int32_t>(context, copy, 0);
}

std::unique_ptr<Kernel> PrepareStridedGrad(const KernelContext& context) {
  const StridedCopy copy = StridedCopy::ToView(context.Attributes<graph::StridedAttributes>());
  return PrepareCopy<int32_t>(context, copy, context.OutputShape(0).size());
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kStrided, .prepare = PrepareStrided},
    {.kind = OpKind::kStridedGrad, .prepare = PrepareStridedGrad},
};

}  // namespace

std::span<const KernelRow> StridedRows() { return kRows; }

}  // namespace lockstep::onednn
