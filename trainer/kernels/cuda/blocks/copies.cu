#include "trainer/kernels/cuda/blocks/copies.h"

#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

template <typename From, typename To>
struct Convert {
  static constexpr int kThreads = 256;
  static constexpr int kEach = 8;

  const From* from;
  To* to;
  int64_t size;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t begin = (block.index() * kThreads + t) * kEach;
      if (begin + kEach <= size) {
        float values[kEach];
        LoadPack<kEach>(from + begin, values);
        StorePack<kEach>(values, to + begin);
        return;
      }
      for (int64_t i = begin; i < size; ++i) to[i] = FromFloat<To>(ToFloat(from[i]));
    });
  }
};

/// A tile of a matrix is read along its rows into shared memory, and written along its columns. Tiles of narrow
/// matrices are narrow and long, so that both sides stay contiguous.
template <typename From, typename To>
struct TransposeTiles {
  static constexpr int kThreads = 256;
  static constexpr int kTile = 1024;  ///< elements
  struct Shared {
    float values[2 * kTile];
  };

  const From* from;
  To* to;
  int64_t rows, columns, from_pitch, to_pitch;
  int tile_rows = 1, tile_columns = 1;  ///< powers of two, kTile together at most
  int64_t tiles_down = 0, tiles_across = 0;

  TransposeTiles(const From* from, To* to, const TransposeShape& shape)
      : from(from),
        to(to),
        rows(shape.rows),
        columns(shape.columns),
        from_pitch(shape.from_pitch > 0 ? shape.from_pitch : shape.columns),
        to_pitch(shape.to_pitch > 0 ? shape.to_pitch : shape.rows) {
    const auto grow = [](int tile, int64_t size, int most) {
      while (tile < size && tile < most) tile *= 2;
      return tile;
    };
    tile_columns = grow(1, columns, 32);
    tile_rows = grow(1, to_pitch, kTile / tile_columns);
    tile_columns = grow(tile_columns, columns, kTile / tile_rows);
    tiles_down = BlocksFor(to_pitch, tile_rows, 1);
    tiles_across = BlocksFor(columns, tile_columns, 1);
  }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    const Quotient matrix = Divide(block.index(), tiles_down * tiles_across);
    const Quotient tile = Divide(matrix.remainder, tiles_across);
    const int64_t first_row = tile.quotient * tile_rows, first_column = tile.remainder * tile_columns;
    const From* const matrix_from = from + matrix.quotient * rows * from_pitch;
    To* const matrix_to = to + matrix.quotient * columns * to_pitch;
    const int stride = tile_rows + 1;  // off the same bank
    block.ForEachThread([&](int t) {
      for (int i = t; i < tile_rows * tile_columns; i += kThreads) {
        const int row = i / tile_columns, column = i % tile_columns;
        if (first_row + row >= to_pitch || first_column + column >= columns) continue;
        const int64_t at = (first_row + row) * from_pitch + first_column + column;
        shared.values[column * stride + row] = first_row + row < rows ? ToFloat(matrix_from[at]) : 0.0f;
      }
    });
    block.ForEachThread([&](int t) {
      for (int i = t; i < tile_rows * tile_columns; i += kThreads) {
        const int column = i / tile_rows, row = i % tile_rows;
        if (first_row + row >= to_pitch || first_column + column >= columns) continue;
        matrix_to[(first_column + column) * to_pitch + first_row + row] =
            FromFloat<To>(shared.values[column * stride + row]);
      }
    });
  }
};

/// Calls run(From{}, To{}).
template <typename Run>
auto WithTypes(DType from, DType to, Run&& run) {
  return WithElementType(from, [&](auto a) { return WithElementType(to, [&](auto b) { return run(a, b); }); });
}

}  // namespace

std::unique_ptr<engine::Kernel> PrepareConversion(DType from_type, const void* from, DType to_type, void* to,
                                                  int64_t size, DeviceStream& stream) {
  return WithTypes(from_type, to_type, [&]<typename From, typename To>(From, To) {
    const Convert<From, To> kernel{static_cast<const From*>(from), static_cast<To*>(to), size};
    return MakeKernel(
        [kernel, stream = &stream] { Launch(*stream, BlocksFor(kernel.size, kernel.kThreads, kernel.kEach), kernel); });
  });
}

std::unique_ptr<engine::Kernel> PrepareTransposes(DType from_type, const void* from, DType to_type, void* to,
                                                  const TransposeShape& shape, DeviceStream& stream) {
  return WithTypes(from_type, to_type, [&]<typename From, typename To>(From, To) {
    const TransposeTiles<From, To> kernel(static_cast<const From*>(from), static_cast<To*>(to), shape);
    return MakeKernel([kernel, batch = shape.batch, stream = &stream] {
      Launch(*stream, batch * kernel.tiles_down * kernel.tiles_across, kernel);
    });
  });
}

}  // namespace lockstep::cuda
