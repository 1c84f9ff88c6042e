// Pooling over whole images [n, h, w, c].
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

/// y [n, c] = the mean over the cells of x [n, cells, c]. A block does 32 packs of channels of one image, or fewer
/// where there are no more; its threads below one another take every so many cells each.
template <typename T, int kPack>
struct AverageImage {
  static constexpr int kThreads = 256;
  struct Shared {
    float sums[kThreads * kPack];
  };

  const T* x;
  T* y;
  int64_t cells, c;
  int across;  ///< packs of a block: a power of two
  int64_t tiles;

  AverageImage(const T* x, T* y, int64_t cells, int64_t c) : x(x), y(y), cells(cells), c(c), across(1) {
    while (across < 32 && int64_t{across} * kPack < c) across *= 2;
    tiles = BlocksFor(c, across, kPack);
  }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    const Quotient tile = Divide(block.index(), tiles);
    const int64_t first_channel = tile.remainder * across * kPack;
    block.ForEachThread([&](int t) {
      const int64_t channel = first_channel + (t % across) * kPack;
      float sum[kPack] = {};
      if (channel < c) {
        for (int64_t cell = t / across; cell < cells; cell += kThreads / across) {
          float v[kPack];
          LoadPack<kPack>(x + (tile.quotient * cells + cell) * c + channel, v);
          LOCKSTEP_UNROLL
          for (int k = 0; k < kPack; ++k) sum[k] += v[k];
        }
      }
      StorePack<kPack>(sum, &shared.sums[t * kPack]);
    });
    for (int half = kThreads / 2; half >= across; half /= 2) {
      block.ForEachThread([&](int t) {
        if (t >= half) return;
        LOCKSTEP_UNROLL
        for (int k = 0; k < kPack; ++k) shared.sums[t * kPack + k] += shared.sums[(t + half) * kPack + k];
      });
    }
    block.ForEachThread([&](int t) {
      const int64_t channel = first_channel + t * kPack;
      if (t >= across || channel >= c) return;
      float sum[kPack];
      LoadPack<kPack>(&shared.sums[t * kPack], sum);
      LOCKSTEP_UNROLL
      for (int k = 0; k < kPack; ++k) sum[k] /= static_cast<float>(cells);
      StorePack<kPack>(sum, y + tile.quotient * c + channel);
    });
  }
};

/// dx [n, cells, c] = dy [n, c] / cells.
template <typename T, int kPack>
struct SpreadImage {
  static constexpr int kThreads = 256;

  const T* dy;
  T* dx;
  int64_t n, cells, c;

  int64_t threads() const { return n * cells * (c / kPack); }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t thread = block.index() * kThreads + t;
      const Quotient cell = Divide(thread, c / kPack);
      const int64_t image = Divide(cell.quotient, cells).quotient;
      if (image >= n) return;
      float v[kPack];
      LoadPack<kPack>(dy + image * c + cell.remainder * kPack, v);
      LOCKSTEP_UNROLL
      for (int k = 0; k < kPack; ++k) v[k] /= static_cast<float>(cells);
      StorePack<kPack>(v, dx + thread * kPack);
    });
  }
};

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const Shape& x = context.InputShape(0);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({x.dim(3)}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const AverageImage<T, kPack> kernel(context.Input<T>(0), context.Output<T>(0), x.dim(1) * x.dim(2), x.dim(3));
      return MakeKernel(
          [kernel, n = x.dim(0), stream = &context.stream] { Launch(*stream, n * kernel.tiles, kernel); });
    });
  });
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const Shape& dx = context.OutputShape(0);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({dx.dim(3)}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const SpreadImage<T, kPack> kernel{context.Input<T>(0), context.Output<T>(0), dx.dim(0), dx.dim(1) * dx.dim(2),
                                         dx.dim(3)};
      return MakeKernel([kernel, stream = &context.stream] {
        Launch(*stream, BlocksFor(kernel.threads(), kernel.kThreads, 1), kernel);
      });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kGlobalAveragePool, .prepare = PrepareForward},
    {.kind = OpKind::kGlobalAveragePoolGrad, .prepare = PrepareGrad},
};

}  // namespace

std::span<const KernelRow> GlobalPoolingRows() { return kRows; }

}  // namespace lockstep::cuda
