// The gradient of batch normalisation by running statistics, which go on as they are: a factor for each channel.
#include <cmath>

#include "trainer/kernels/cuda/blocks/columns.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

/// dx = dy weight / sqrt(running variance + epsilon); dx may lie over dy.
template <typename T>
struct ScaleColumns {
  const T* dy;
  T* dx;
  int64_t channels;
  const float *weight, *variance;
  double epsilon;

  template <int kPack>
  struct Writer {
    const T* dy;
    T* dx;
    int64_t channels;
    float scale[kPack];

    template <int kRows>
    LOCKSTEP_HD void Apply(int64_t row, int step) const {
      float v[kRows][kPack];
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) LoadPack<kPack>(dy + (row + int64_t{r} * step) * channels, v[r]);
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) v[r][i] *= scale[i];
        StorePack<kPack>(v[r], dx + (row + int64_t{r} * step) * channels);
      }
    }
  };
  template <int kPack>
  LOCKSTEP_HD Writer<kPack> At(int64_t column) const {
    Writer<kPack> writer{dy + column, dx + column, channels, {}};
    LOCKSTEP_UNROLL
    for (int i = 0; i < kPack; ++i) {
      const double deviation = sqrt(static_cast<double>(variance[column + i]) + epsilon);
      writer.scale[i] = static_cast<float>(static_cast<double>(weight[column + i]) / deviation);
    }
    return writer;
  }
};

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), channels = context.InputShape(0).dim(-1);
  const auto epsilon = static_cast<double>(context.Attributes<graph::NormAttributes>().epsilon);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({channels}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const ScaleColumns<T> scale{context.Input<T>(0), context.Output<T>(0), channels,
                                  context.Input(1),    context.Input(2),     epsilon};
      return MakeKernel([=, stream = &context.stream] { LaunchColumnMap<kPack>(*stream, rows, channels, scale); });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kBatchNormInferGrad, .prepare = PrepareGrad},
};

}  // namespace

std::span<const KernelRow> FrozenNormRows() { return kRows; }

}  // namespace lockstep::cuda
