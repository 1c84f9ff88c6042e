#include "trainer/kernels/cuda/blocks/column_sums.h"

#include "trainer/kernels/cuda/blocks/columns.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

template <typename T>
struct SumOp {
  static constexpr int kValues = 1;

  const T* x;
  int64_t columns;
  float* sums;

  template <int kPack>
  struct Reader {
    const T* x;
    int64_t columns;

    template <int kRows>
    LOCKSTEP_HD void Add(int64_t row, int step, float /*seen*/, float (&values)[1][kPack]) const {
      float v[kRows][kPack];
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) LoadPack<kPack>(x + (row + int64_t{r} * step) * columns, v[r]);
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) values[0][i] += v[r][i];
      }
    }
  };
  template <int kPack>
  LOCKSTEP_HD Reader<kPack> At(int64_t column) const {
    return {x + column, columns};
  }
  template <typename S>
  static LOCKSTEP_HD void Combine(S* values, const S* others, S, S) {
    AddValues<1>(values, others);
  }
  LOCKSTEP_HD void Finish(int64_t column, const double* values) const { sums[column] = static_cast<float>(values[0]); }
};

}  // namespace

size_t ColumnSumsWorkspace(DType type, int64_t rows, int64_t columns) {
  return WithElementType(type, [&]<typename T>(T) {
    return WithPack<T>({columns}, [&](auto pack) { return ColumnReductionBytes(rows, columns, pack, 1); });
  });
}

std::unique_ptr<engine::Kernel> PrepareColumnSums(DType type, const void* x, int64_t rows, int64_t columns, float* sums,
                                                  std::byte* workspace, DeviceStream& stream) {
  auto* partial = reinterpret_cast<float*>(workspace);
  return WithElementType(type, [&]<typename T>(T) {
    return MakeKernel(
        [op = SumOp<T>{static_cast<const T*>(x), columns, sums}, rows, columns, partial, stream = &stream] {
          WithPack<T>({columns}, [&](auto pack) { LaunchColumnReduction<pack>(*stream, rows, columns, op, partial); });
        });
  });
}

}  // namespace lockstep::cuda
