// SwiGLU: each row [2 half] becomes silu(first half) * second half; a thread has a pack of both halves.
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

template <typename T, int kPack>
struct SwiGluRows {
  static constexpr int kThreads = 256;

  const T* x;
  T* y;
  int64_t size, half;  ///< of y; of its rows

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = (block.index() * kThreads + t) * kPack;
      if (at >= size) return;
      const Quotient place = Divide(at, half);
      const T* from = x + place.quotient * 2 * half + place.remainder;
      float gate[kPack], up[kPack];
      LoadPack<kPack>(from, gate);
      LoadPack<kPack>(from + half, up);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) up[i] = kernels::SwiGlu(gate[i], up[i]);
      StorePack<kPack>(up, y + at);
    });
  }
};

template <typename T, int kPack>
struct SwiGluGradRows {
  static constexpr int kThreads = 256;

  const T *dy, *x;
  T* dx;
  int64_t size, half;  ///< of dy; of its rows

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t at = (block.index() * kThreads + t) * kPack;
      if (at >= size) return;
      const Quotient place = Divide(at, half);
      const int64_t gate_at = place.quotient * 2 * half + place.remainder;
      float g[kPack], gate[kPack], up[kPack];
      LoadPack<kPack>(dy + at, g);
      LoadPack<kPack>(x + gate_at, gate);
      LoadPack<kPack>(x + gate_at + half, up);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        const kernels::SwiGluGradient gradient = kernels::SwiGluBackward(g[i], gate[i], up[i]);
        gate[i] = gradient.gate;
        up[i] = gradient.up;
      }
      StorePack<kPack>(gate, dx + gate_at);
      StorePack<kPack>(up, dx + gate_at + half);
    });
  }
};

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const Shape& y = context.OutputShape(0);
  return WithElementType(context.OutputType(0), [&]<typename T>(T) {
    return WithPack<T>({y.dim(-1)}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const SwiGluRows<T, kPack> kernel{context.Input<T>(0), context.Output<T>(0), y.size(), y.dim(-1)};
      return MakeKernel([kernel, stream = &context.stream] {
        Launch(*stream, BlocksFor(kernel.size, kernel.kThreads, kPack), kernel);
      });
    });
  });
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const Shape& dy = context.InputShape(0);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({dy.dim(-1)}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const SwiGluGradRows<T, kPack> kernel{context.Input<T>(0), context.Input<T>(1), context.Output<T>(0), dy.size(),
                                            dy.dim(-1)};
      return MakeKernel([kernel, stream = &context.stream] {
        Launch(*stream, BlocksFor(kernel.size, kernel.kThreads, kPack), kernel);
      });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kSwiGlu, .prepare = PrepareForward},
    {.kind = OpKind::kSwiGluGrad, .prepare = PrepareGrad},
};

}  // namespace

std::span<const KernelRow> SwiGluRows() { return kRows; }

}  // namespace lockstep::cuda
