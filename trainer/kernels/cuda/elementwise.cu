// Activations, sums and dropout: functions of one element over packs of elements.
#include "trainer/kernels/elementwise.h"

#include "trainer/graph/step_block.h"
#include "trainer/kernels/cuda/activation_table.h"
#include "trainer/kernels/cuda/blocks/activations.h"
#include "trainer/kernels/cuda/blocks/fused_math.h"
#include "trainer/kernels/cuda/elementwise.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::Activation;
using graph::OpKind;

template <Activation kKind>
struct Forward {
  static constexpr Activation kActivation = kKind;
  LOCKSTEP_HD float operator()(float x) const { return cuda::Activate<kKind>(x); }
};
template <Activation kKind>
struct Backward {
  static constexpr Activation kActivation = kKind;
  LOCKSTEP_HD float operator()(float dy, float v) const { return cuda::ActivateGradient<kKind>(dy, v); }
};
struct Sum {
  LOCKSTEP_HD float operator()(float a, float b) const { return a + b; }
};
struct SumRelu {
  LOCKSTEP_HD float operator()(float a, float b) const { return kernels::Relu(a + b); }
};

/// Calls run(F<activation>{}) for the activation of that kind.
template <template <Activation> typename F, typename Run>
void WithActivation(Activation kind, Run&& run) {
  switch (kind) {
    case Activation::kNone:
      return run(F<Activation::kNone>{});
    case Activation::kRelu:
      return run(F<Activation::kRelu>{});
    case Activation::kGelu:
      return run(F<Activation::kGelu>{});
    case Activation::kSilu:
      return run(F<Activation::kSilu>{});
    case Activation::kTanh:
      return run(F<Activation::kTanh>{});
    case Activation::kSigmoid:
      return run(F<Activation::kSigmoid>{});
    case Activation::kGeluTanh:
      return run(F<Activation::kGeluTanh>{});
  }
}

template <typename T, typename F>
void LaunchForward(DeviceStream& stream, const F& f, const T* x, T* y, int64_t size) {
  if constexpr (std::is_same_v<T, BFloat16> && HasActivationTable(F::kActivation)) {
    if (size >= kFewestTabulated) return LaunchTabulated<F::kActivation, false>(stream, nullptr, x, y, size);
  }
  LaunchMap(stream, f, x, y, size);
}

template <typename T, typename F>
void LaunchBackward(DeviceStream& stream, const F& f, const T* dy, const T* v, T* dx, int64_t size) {
  if constexpr (std::is_same_v<T, BFloat16> && HasActivationTable(F::kActivation)) {
    if (size >= kFewestTabulated) return LaunchTabulated<F::kActivation, true>(stream, dy, v, dx, size);
  }
  LaunchMap(stream, f, dy, v, dx, size);
}

/// Forward and backward alike: what is kept is scaled, what is dropped is zero. Four neighbours of a row draw from one
/// group of random words.
template <typename T>
struct DropRows {
  static constexpr int kThreads = 256;
  static constexpr int kEach = 4;

  const T* x;
  T* y;
  int64_t rows, row_size;
  const graph::StepBlock* step_block;
  uint32_t layer;
  float probability, scale;

  LOCKSTEP_HD int64_t groups() const { return (row_size + kEach - 1) / kEach; }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t index = block.index() * kThreads + t;
      if (index >= rows * groups()) return;
      const int64_t row = index / groups(), group = index % groups();
      const RandomStream random = {step_block->seed, step_block->step, layer,
                                   step_block->first_sample + static_cast<uint64_t>(row)};
      const Philox4 words = random.Group(static_cast<uint32_t>(group));
      LOCKSTEP_UNROLL
      for (int i = 0; i < kEach; ++i) {
        const int64_t column = group * kEach + i;
        if (column >= row_size) return;
        const int64_t at = row * row_size + column;
        y[at] = FromFloat<T>(kernels::Drop(ToFloat(x[at]), words.x[i], probability, scale));
      }
    });
  }
};

std::unique_ptr<Kernel> PrepareActivation(const KernelContext& context) {
  return MakeKernel([kind = context.Attributes<graph::ActivationAttributes>().activation, type = context.OutputType(0),
                     x = context.Input<void>(0), y = context.Output<void>(0), size = context.OutputShape(0).size(),
                     stream = &context.stream] { LaunchActivation(*stream, kind, type, x, y, size); });
}

std::unique_ptr<Kernel> PrepareActivationGrad(const KernelContext& context) {
  return WithElementType(context.OutputType(0), [&]<typename T>(T) {
    return MakeKernel([kind = context.Attributes<graph::ActivationAttributes>().activation, dy = context.Input<T>(0),
                       v = context.Input<T>(1), dx = context.Output<T>(0), size = context.OutputShape(0).size(),
                       stream = &context.stream] {
      WithActivation<Backward>(kind, [&](const auto& f) { LaunchBackward(*stream, f, dy, v, dx, size); });
    });
  });
}

std::unique_ptr<Kernel> PrepareAdd(const KernelContext& context) {
  return WithElementType(context.OutputType(0), [&]<typename T>(T) {
    return MakeKernel([relu = context.Attributes<graph::ActivationAttributes>().activation == Activation::kRelu,
                       a = context.Input<T>(0), b = context.Input<T>(1), y = context.Output<T>(0),
                       size = context.OutputShape(0).size(), stream = &context.stream] {
      if (relu) return LaunchMap(*stream, SumRelu{}, a, b, y, size);
      LaunchMap(*stream, Sum{}, a, b, y, size);
    });
  });
}

std::unique_ptr<Kernel> PrepareDropout(const KernelContext& context) {
  return WithElementType(context.OutputType(0), [&]<typename T>(T) {
    const auto& attributes = context.Attributes<graph::DropoutAttributes>();
    const Shape& shape = context.OutputShape(0);
    DropRows<T> kernel;
    kernel.x = context.Input<T>(0);
    kernel.y = context.Output<T>(0);
    kernel.rows = shape.dim(0);
    kernel.row_size = shape.size() / shape.dim(0);
    kernel.step_block = context.Input<graph::StepBlock>(1);
    kernel.layer = attributes.layer_key;
    kernel.probability = attributes.probability;
    kernel.scale = static_cast<float>(1.0 / (1.0 - static_cast<double>(attributes.probability)));
    const int64_t blocks = BlocksFor(kernel.rows * kernel.groups(), DropRows<T>::kThreads, 1);
    return MakeKernel([kernel, blocks, stream = &context.stream] { Launch(*stream, blocks, kernel); });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kActivation, .prepare = PrepareActivation},
    {.kind = OpKind::kActivationGrad, .prepare = PrepareActivationGrad},
    {.kind = OpKind::kAdd, .prepare = PrepareAdd},
    {.kind = OpKind::kDropout, .prepare = PrepareDropout},
    {.kind = OpKind::kDropoutGrad, .prepare = PrepareDropout},
};

}  // namespace

void LaunchActivation(DeviceStream& stream, Activation kind, DType type, const void* x, void* y, int64_t size) {
  WithElementType(type, [&]<typename T>(T) {
    WithActivation<Forward>(
        kind, [&](const auto& f) { LaunchForward(stream, f, static_cast<const T*>(x), static_cast<T*>(y), size); });
  });
}

std::span<const KernelRow> ElementwiseRows() { return kRows; }

}  // namespace lockstep::cuda
