// Work by columns of a matrix [rows, columns]: reductions over the rows, and maps whose coefficients belong to columns.
//
// A block covers a tile of the matrix: kColumnThreads threads, `across` of which lie side by side, a pack of columns
// each, and step down the rows of a slice together. Narrow matrices have few threads across and so more down: their
// reads stay contiguous. Tiles and slices follow from the shape alone, and so do the bits.
//
// A reduction keeps kValues numbers per column. Threads sum up in float; a block adds its threads in a tree and writes
// one partial result per column; a second kernel combines the slices' partial results in double, in an order that is
// fixed, and finishes: that is what an Op says.
//
//   struct Op {
//     static constexpr int kValues;
//     // What a thread does with its columns: reads rows `row`, row + step, .. (kRows of them), of which `seen` rows
//     // came before, into values[kValues][kPack].
//     template <int kPack> struct Reader { template <int kRows> void Add(row, step, seen, values); };
//     template <int kPack> Reader<kPack> At(int64_t column) const;
//     // values of n rows become those of n + m rows; either may be 0.
//     template <typename S> static void Combine(S* values, const S* others, S n, S m);
//     void Finish(int64_t column, const double* values) const;
//   };
#pragma once

#include <cstddef>
#include <cstdint>

#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"

namespace lockstep::cuda {

inline constexpr int kColumnThreads = 256;

/// How a matrix is cut into tiles. Tile t is slice t / tiles_across of rows and piece t % tiles_across of columns.
struct ColumnPlan {
  int64_t rows = 0, columns = 0;
  int pack = 1;    ///< columns per thread
  int across = 1;  ///< threads side by side: a power of two, at most 32
  int64_t tiles_across = 0, slice_rows = 0, slices = 0;

  int64_t blocks() const { return tiles_across * slices; }
  LOCKSTEP_HD int down() const { return kColumnThreads / across; }
  LOCKSTEP_HD int64_t RowsOf(int64_t slice) const {
    const int64_t left = rows - slice * slice_rows;
    return left < slice_rows ? left : slice_rows;
  }
};

/// Rows that a thread reads at once, so that several loads are under way.
inline constexpr int kRowsAtOnce = 4;

inline ColumnPlan CutColumns(int64_t rows, int64_t columns, int pack) {
  ColumnPlan plan{.rows = rows, .columns = columns, .pack = pack};
  while (plan.across < 32 && int64_t{plan.across} * pack < columns) plan.across *= 2;
  plan.tiles_across = BlocksFor(columns, plan.across, pack);
  return plan;
}

/// For reductions: a thousand blocks where there is that much to do.
inline ColumnPlan PlanColumnReduction(int64_t rows, int64_t columns, int pack) {
  ColumnPlan plan = CutColumns(rows, columns, pack);
  constexpr int64_t kBlocks = 1024, kMostSlices = 512;
  int64_t most = kBlocks / plan.tiles_across;
  if (most > kMostSlices) most = kMostSlices;
  if (most < 1) most = 1;
  const int unit = plan.down() * kRowsAtOnce;
  plan.slice_rows = BlocksFor(BlocksFor(rows, 1, static_cast<int>(most)), unit, 1) * unit;
  plan.slices = (rows + plan.slice_rows - 1) / plan.slice_rows;
  return plan;
}

/// For maps: enough rows per thread that reading the coefficients does not count.
inline ColumnPlan PlanColumnMap(int64_t rows, int64_t columns, int pack) {
  ColumnPlan plan = CutColumns(rows, columns, pack);
  plan.slice_rows = int64_t{plan.down()} * kRowsAtOnce * 2;
  plan.slices = (rows + plan.slice_rows - 1) / plan.slice_rows;
  return plan;
}

/// Where a thread works: rows row, row + down, .. below `end`.
struct ColumnPlace {
  int64_t slice, column, row, end;

  LOCKSTEP_HD ColumnPlace(const ColumnPlan& plan, int64_t block, int thread) {
    const Quotient tile = Divide(block, plan.tiles_across);
    slice = tile.quotient;
    column = (tile.remainder * plan.across + thread % plan.across) * plan.pack;
    row = slice * plan.slice_rows + thread / plan.across;
    end = slice * plan.slice_rows + plan.RowsOf(slice);
  }
};

/// Calls op.At(column).Apply<n>(row, step) for all rows: n rows at a time.
template <typename Op, int kPack>
struct MapColumns {
  static constexpr int kThreads = kColumnThreads;

  Op op;
  ColumnPlan plan;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const ColumnPlace place(plan, block.index(), t);
      if (place.column >= plan.columns || place.row >= place.end) return;
      const auto columns = op.template At<kPack>(place.column);
      const int step = plan.down();
      int64_t row = place.row;
      for (; row + (kRowsAtOnce - 1) * step < place.end; row += kRowsAtOnce * step) {
        columns.template Apply<kRowsAtOnce>(row, step);
      }
      for (; row < place.end; row += step) columns.template Apply<1>(row, step);
    });
  }
};

template <int kPack, typename Op>
void LaunchColumnMap(DeviceStream& stream, int64_t rows, int64_t columns, const Op& op) {
  const ColumnPlan plan = PlanColumnMap(rows, columns, kPack);
  Launch(stream, plan.blocks(), MapColumns<Op, kPack>{op, plan});
}

/// Each block's partial results: partial[(slice * kValues + value) * columns + column].
template <typename Op, int kPack>
struct ReduceColumns {
  static constexpr int kThreads = kColumnThreads;
  static constexpr int kValues = Op::kValues;
  struct Shared {
    float values[kValues][kThreads * kPack];
  };

  Op op;
  ColumnPlan plan;
  float* partial;

  /// How many of `rows` rows have a number that is `first` modulo `step`.
  static LOCKSTEP_HD float Count(int64_t rows, int first, int step) {
    const int64_t counted = (rows - first + step - 1) / step;
    return rows > first ? static_cast<float>(counted) : 0.0f;
  }

  LOCKSTEP_HD void ReadRows(const ColumnPlace& place, float (&values)[kValues][kPack]) const {
    const auto columns = op.template At<kPack>(place.column);
    const int step = plan.down();
    int64_t row = place.row;
    float seen = 0;
    for (; row + (kRowsAtOnce - 1) * step < place.end; row += kRowsAtOnce * step, seen += kRowsAtOnce) {
      columns.template Add<kRowsAtOnce>(row, step, seen, values);
    }
    for (; row < place.end; row += step, seen += 1) columns.template Add<1>(row, step, seen, values);
  }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      const ColumnPlace place(plan, block.index(), t);
      float values[kValues][kPack] = {};
      if (place.column < plan.columns) ReadRows(place, values);
      LOCKSTEP_UNROLL
      for (int v = 0; v < kValues; ++v) StorePack<kPack>(values[v], &shared.values[v][t * kPack]);
    });
    for (int half = plan.down() / 2; half > 0; half /= 2) {
      block.ForEachThread([&](int t) { AddHalf(shared, half, t, ColumnPlace(plan, block.index(), t)); });
    }
    block.ForEachThread([&](int t) {
      const ColumnPlace place(plan, block.index(), t);
      if (t >= plan.across || place.column >= plan.columns) return;
      LOCKSTEP_UNROLL
      for (int v = 0; v < kValues; ++v) {
        float values[kPack];
        LoadPack<kPack>(&shared.values[v][t * kPack], values);
        StorePack<kPack>(values, partial + (place.slice * kValues + v) * plan.columns + place.column);
      }
    });
  }

  /// The rows of threads `half` and further down go to those above.
  LOCKSTEP_HD void AddHalf(Shared& shared, int half, int t, const ColumnPlace& place) const {
    const int down = t / plan.across;
    if (down >= half) return;
    const int64_t rows = plan.RowsOf(place.slice);
    const float n = Count(rows, down, 2 * half), m = Count(rows, down + half, 2 * half);
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) {
      const int mine = t * kPack + i, other = mine + half * plan.across * kPack;
      float a[kValues], b[kValues];
      LOCKSTEP_UNROLL
      for (int v = 0; v < kValues; ++v) a[v] = shared.values[v][mine], b[v] = shared.values[v][other];
      Op::Combine(a, b, n, m);
      LOCKSTEP_UNROLL
      for (int v = 0; v < kValues; ++v) shared.values[v][mine] = a[v];
    }
  }
};

/// Combines the slices: 32 threads a column take every 32nd each, and are added in a tree.
template <typename Op>
struct FinishColumns {
  static constexpr int kThreads = kColumnThreads;
  static constexpr int kColumns = 8;  ///< of a block: a sector of memory
  static constexpr int kDown = kThreads / kColumns;
  static constexpr int kValues = Op::kValues;
  struct Shared {
    double values[kValues][kThreads];
    double rows[kThreads];
  };

  Op op;
  ColumnPlan plan;
  const float* partial;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      const int64_t column = block.index() * kColumns + t % kColumns;
      double values[kValues] = {}, rows = 0;
      if (column < plan.columns) {
        for (int64_t slice = t / kColumns; slice < plan.slices; slice += kDown) {
          double others[kValues];
          LOCKSTEP_UNROLL
          for (int v = 0; v < kValues; ++v) {
            others[v] = static_cast<double>(partial[(slice * kValues + v) * plan.columns + column]);
          }
          const auto more = static_cast<double>(plan.RowsOf(slice));
          Op::Combine(values, others, rows, more);
          rows += more;
        }
      }
      LOCKSTEP_UNROLL
      for (int v = 0; v < kValues; ++v) shared.values[v][t] = values[v];
      shared.rows[t] = rows;
    });
    LOCKSTEP_UNROLL
    for (int half = kThreads / 2; half >= kColumns; half /= 2) {
      block.ForEachThread([&](int t) {
        if (t >= half) return;
        double a[kValues], b[kValues];
        LOCKSTEP_UNROLL
        for (int v = 0; v < kValues; ++v) a[v] = shared.values[v][t], b[v] = shared.values[v][t + half];
        Op::Combine(a, b, shared.rows[t], shared.rows[t + half]);
        LOCKSTEP_UNROLL
        for (int v = 0; v < kValues; ++v) shared.values[v][t] = a[v];
        shared.rows[t] += shared.rows[t + half];
      });
    }
    block.ForEachThread([&](int t) {
      const int64_t column = block.index() * kColumns + t;
      if (t >= kColumns || column >= plan.columns) return;
      double values[kValues];
      LOCKSTEP_UNROLL
      for (int v = 0; v < kValues; ++v) values[v] = shared.values[v][t];
      op.Finish(column, values);
    });
  }
};

/// Finishes the partial results of `plan`'s slices.
template <typename Op>
void LaunchColumnFinish(DeviceStream& stream, const ColumnPlan& plan, const Op& op, const float* partial) {
  Launch(stream, BlocksFor(plan.columns, FinishColumns<Op>::kColumns, 1), FinishColumns<Op>{op, plan, partial});
}

/// Bytes for the partial results of a reduction that keeps `values` numbers per column, whatever its packs.
inline size_t ColumnReductionBytes(int64_t rows, int64_t columns, int pack, int values) {
  const ColumnPlan plan = PlanColumnReduction(rows, columns, pack);
  return static_cast<size_t>(plan.slices * values * columns) * sizeof(float);
}

/// `partial`: ColumnReductionBytes.
template <int kPack, typename Op>
void LaunchColumnReduction(DeviceStream& stream, int64_t rows, int64_t columns, const Op& op, float* partial) {
  const ColumnPlan plan = PlanColumnReduction(rows, columns, kPack);
  Launch(stream, plan.blocks(), ReduceColumns<Op, kPack>{op, plan, partial});
  LaunchColumnFinish(stream, plan, op, partial);
}

/// A sum per column: what Ops that only add use as their Combine.
template <int kValues, typename S>
LOCKSTEP_HD void AddValues(S* values, const S* others) {
  LOCKSTEP_UNROLL
  for (int v = 0; v < kValues; ++v) values[v] += others[v];
}

}  // namespace lockstep::cuda
