// Batch normalisation over [rows, channels]: a reduction over the rows, then a map with coefficients per channel.
//
// Moments are taken in one pass over memory: a few rows at a time give their mean and their centred sum of squares, and
// samples are combined as Chan, Golub and LeVeque do ("Updating formulae and a pairwise algorithm for computing sample
// variances", 1979): sums of x and of x^2 would lose the variance where the mean is large.
//
// Kernels of our own, since cuDNN 9.19 offers one engine for batch norm in training and its gradient on NHWC (on H100;
// it says neither that its bits change nor in what order it sums, and is compiled at start for each shape), and that
// only for some numbers of channels: none for 10, or for 12 in bf16. These would be needed beside it.
#include <cmath>

#include "trainer/kernels/cuda/batch_norm_grad.h"
#include "trainer/kernels/cuda/blocks/columns.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

using batch_norm::AddedGradSums;
using batch_norm::GradInputs;
using batch_norm::GradSums;
using batch_norm::InputGrad;
using batch_norm::Mask;
using batch_norm::Scaled;
using batch_norm::ScaleOf;
using engine::Kernel;
using graph::Activation;
using graph::NormAttributes;
using graph::OpKind;

/// The sample of `m` rows with moments (mean, squares) joins one of `n` rows; m > 0.
template <typename S>
LOCKSTEP_HD void JoinSamples(S n, S m, S other_mean, S other_squares, S* mean, S* squares) {
  const S delta = other_mean - *mean;
  const S share = m / (n + m);
  *mean += delta * share;
  *squares += other_squares + delta * delta * (n * share);
}

/// What the reductions leave for the maps: vectors of a float per channel, in the workspace.
struct Vectors {
  float* data;
  int64_t channels;

  LOCKSTEP_HD float* at(int which) const { return data + which * channels; }
};

template <typename T>
struct Moments {
  static constexpr int kValues = 2;  // mean, centred sum of squares

  const T* x;
  const float* weight;
  int64_t rows, channels;
  double epsilon;
  float *mean, *variance, *inv_std, *scale;

  template <int kPack>
  struct Reader {
    const T* x;
    int64_t channels;

    template <int kRows>
    LOCKSTEP_HD void Add(int64_t row, int step, float seen, float (&values)[2][kPack]) const {
      float v[kRows][kPack];
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) LoadPack<kPack>(x + (row + int64_t{r} * step) * channels, v[r]);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        float sum = 0, squares = 0;
        LOCKSTEP_UNROLL
        for (int r = 0; r < kRows; ++r) sum += v[r][i];
        const float average = sum * (1.0f / kRows);
        LOCKSTEP_UNROLL
        for (int r = 0; r < kRows; ++r) squares += (v[r][i] - average) * (v[r][i] - average);
        JoinSamples<float>(seen, kRows, average, squares, &values[0][i], &values[1][i]);
      }
    }
  };
  template <int kPack>
  LOCKSTEP_HD Reader<kPack> At(int64_t column) const {
    return {x + column, channels};
  }
  template <typename S>
  static LOCKSTEP_HD void Combine(S* values, const S* others, S n, S m) {
    if (m > 0) JoinSamples(n, m, others[0], others[1], &values[0], &values[1]);
  }
  LOCKSTEP_HD void Finish(int64_t c, const double* values) const {
    const auto n = static_cast<double>(rows);
    const double inverse = 1.0 / sqrt(values[1] / n + epsilon);
    mean[c] = static_cast<float>(values[0]);
    variance[c] = static_cast<float>(values[1] / (n > 1.0 ? n - 1.0 : 1.0));
    inv_std[c] = static_cast<float>(inverse);
    scale[c] = ScaleOf(inv_std[c], weight[c]);
  }
};

/// y = act((x - mean) scale + bias + addend). y may lie over x, or over the addend.
template <typename T, bool kAdds, bool kRelu>
struct Normalise {
  const T *x, *addend;  ///< addend: of kAdds alone
  T* y;
  int64_t channels;
  const float *mean, *scale, *bias;

  template <int kPack>
  struct Writer {
    const T *x, *addend;
    T* y;
    int64_t channels;
    float mean[kPack], scale[kPack], bias[kPack];

    template <int kRows>
    LOCKSTEP_HD void Apply(int64_t row, int step) const {
      float v[kRows][kPack], added[kRows][kPack];
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        LoadPack<kPack>(x + (row + int64_t{r} * step) * channels, v[r]);
        if constexpr (kAdds) LoadPack<kPack>(addend + (row + int64_t{r} * step) * channels, added[r]);
      }
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          float z = Scaled(v[r][i], mean[i], scale[i], bias[i]);
          if constexpr (kAdds) z += added[r][i];
          v[r][i] = kRelu ? kernels::Relu(z) : z;
        }
        StorePack<kPack>(v[r], y + (row + int64_t{r} * step) * channels);
      }
    }
  };
  template <int kPack>
  LOCKSTEP_HD Writer<kPack> At(int64_t column) const {
    Writer<kPack> writer;
    writer.x = x + column;
    writer.addend = kAdds ? addend + column : nullptr;
    writer.y = y + column;
    writer.channels = channels;
    LoadPack<kPack>(mean + column, writer.mean);
    LoadPack<kPack>(scale + column, writer.scale);
    LoadPack<kPack>(bias + column, writer.bias);
    return writer;
  }
};

/// scale = weight / sqrt(running variance + epsilon).
struct InferScale {
  static constexpr int kThreads = 128;

  const float *weight, *variance;
  float* scale;
  int64_t channels;
  double epsilon;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    block.ForEachThreadAlone([&](int t) {
      const int64_t c = block.index() * kThreads + t;
      if (c >= channels) return;
      scale[c] = static_cast<float>(static_cast<double>(weight[c]) / sqrt(static_cast<double>(variance[c]) + epsilon));
    });
  }
};

bool FusedRelu(const OpContext& context) {
  return context.Attributes<NormAttributes>().activation == Activation::kRelu;
}

/// Calls run(type, relu, pack), as constants: T{}, a std::bool_constant and a std::integral_constant.
template <typename Run>
void WithVariant(DType type, bool relu, int64_t channels, Run&& run) {
  WithElementType(type, [&]<typename T>(T) {
    WithPack<T>({channels}, [&](auto pack) {
      if (relu) return run(T{}, std::true_type{}, pack);
      run(T{}, std::false_type{}, pack);
    });
  });
}

constexpr int64_t kVectors = 4;

/// Vectors first, then the partial results.
size_t WorkspaceBytes(const OpContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), channels = context.InputShape(0).dim(-1);
  const size_t partial = WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({channels}, [&](auto pack) { return ColumnReductionBytes(rows, channels, pack, 2); });
  });
  return static_cast<size_t>(kVectors * channels) * sizeof(float) + partial;
}

/// Of both kinds: with an addend, operand 1, the parameters lie one further back.
template <bool kAdds>
std::unique_ptr<Kernel> PrepareTrain(const KernelContext& context) {
  const Shape& shape = context.InputShape(0);
  const int64_t rows = Rows(shape), channels = shape.dim(-1);
  const Vectors vectors{reinterpret_cast<float*>(context.operands.workspace), channels};
  // Results that nobody wants are needed here all the same.
  const auto output = [&](size_t i) {
    return context.HasOutput(i) ? context.Output(i) : vectors.at(static_cast<int>(i));
  };
  float *mean = output(1), *variance = output(2), *inv_std = output(3), *scale = vectors.at(0);
  return MakeKernel([=, type = context.InputType(0), relu = FusedRelu(context), x = context.Input<void>(0),
                     addend = kAdds ? context.Input<void>(1) : nullptr, weight = context.Input(kAdds ? 2 : 1),
                     bias = context.Input(kAdds ? 3 : 2), y = context.Output<void>(0),
                     epsilon = static_cast<double>(context.Attributes<NormAttributes>().epsilon),
                     stream = &context.stream] {
    WithVariant(
        type, relu, channels,
        [&]<typename T, bool kRelu, int kPack>(T, std::bool_constant<kRelu>, std::integral_constant<int, kPack>) {
          const auto* from = static_cast<const T*>(x);
          const Moments<T> moments{from, weight, rows, channels, epsilon, mean, variance, inv_std, scale};
          LaunchColumnReduction<kPack>(*stream, rows, channels, moments, vectors.at(kVectors));
          const Normalise<T, kAdds, kRelu> normalise{
              from, static_cast<const T*>(addend), static_cast<T*>(y), channels, mean, scale, bias};
          LaunchColumnMap<kPack>(*stream, rows, channels, normalise);
        });
  });
}

std::unique_ptr<Kernel> PrepareInfer(const KernelContext& context) {
  const Shape& shape = context.InputShape(0);
  const int64_t rows = Rows(shape), channels = shape.dim(-1);
  auto* scale = reinterpret_cast<float*>(context.operands.workspace);
  const InferScale infer_scale{context.Input(1), context.Input(4), scale, channels,
                               static_cast<double>(context.Attributes<NormAttributes>().epsilon)};
  return MakeKernel([=, type = context.InputType(0), relu = FusedRelu(context), x = context.Input<void>(0),
                     bias = context.Input(2), mean = context.Input(3), y = context.Output<void>(0),
                     stream = &context.stream] {
    Launch(*stream, BlocksFor(channels, InferScale::kThreads, 1), infer_scale);
    WithVariant(
        type, relu, channels,
        [&]<typename T, bool kRelu, int kPack>(T, std::bool_constant<kRelu>, std::integral_constant<int, kPack>) {
          const Normalise<T, false, kRelu> normalise{
              static_cast<const T*>(x), nullptr, static_cast<T*>(y), channels, mean, scale, bias};
          LaunchColumnMap<kPack>(*stream, rows, channels, normalise);
        });
  });
}

template <Mask kMask>
std::unique_ptr<Kernel> PrepareGradBy(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), channels = context.InputShape(0).dim(-1);
  const Vectors vectors{reinterpret_cast<float*>(context.operands.workspace), channels};
  float *scale = vectors.at(0), *shift = vectors.at(1), *slope = vectors.at(2);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    const GradInputs<T> inputs{.dy = context.Input<T>(0),
                               .x = context.Input<T>(1),
                               .y = context.Input<T>(5),
                               .mean = context.Input(3),
                               .inv_std = context.Input(4),
                               .weight = context.Input(2),
                               .bias = context.Input(6),
                               .channels = channels};
    const GradSums<T, kMask> sums{inputs, rows, context.Output(1), context.Output(2), scale, shift, slope};
    const InputGrad<T, kMask> grad{inputs, context.Output<T>(0), scale, shift, slope};
    return WithPack<T>({channels}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      return MakeKernel([=, stream = &context.stream] {
        LaunchColumnReduction<kPack>(*stream, rows, channels, sums, vectors.at(kVectors));
        if (grad.dx != nullptr) LaunchColumnMap<kPack>(*stream, rows, channels, grad);
      });
    });
  });
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  if (!FusedRelu(context)) return PrepareGradBy<Mask::kNone>(context);
  if (context.HasInput(5)) return PrepareGradBy<Mask::kOfResult>(context);
  return PrepareGradBy<Mask::kOfInput>(context);
}

/// g comes with the sums, and dx follows from g, which the relu is taken out of.
template <Mask kMask>
std::unique_ptr<Kernel> PrepareAddGradBy(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), channels = context.InputShape(0).dim(-1);
  const Vectors vectors{reinterpret_cast<float*>(context.operands.workspace), channels};
  float *scale = vectors.at(0), *shift = vectors.at(1), *slope = vectors.at(2);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    GradInputs<T> inputs{.dy = context.Input<T>(0),
                         .x = context.Input<T>(2),
                         .y = context.Input<T>(6),
                         .mean = context.Input(4),
                         .inv_std = context.Input(5),
                         .weight = context.Input(3),
                         .bias = context.Input(7),
                         .channels = channels};
    T* const g = context.Output<T>(3);
    const AddedGradSums<T, kMask> sums{
        {inputs, rows, context.Output(1), context.Output(2), scale, shift, slope}, context.Input<T>(1), g};
    inputs.dy = g;
    const InputGrad<T, Mask::kNone> grad{inputs, context.Output<T>(0), scale, shift, slope};
    return WithPack<T>({channels}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      return MakeKernel([=, stream = &context.stream] {
        LaunchColumnReduction<kPack>(*stream, rows, channels, sums, vectors.at(kVectors));
        if (grad.dx != nullptr) LaunchColumnMap<kPack>(*stream, rows, channels, grad);
      });
    });
  });
}

std::unique_ptr<Kernel> PrepareAddGrad(const KernelContext& context) {
  if (!FusedRelu(context)) return PrepareAddGradBy<Mask::kNone>(context);
  if (context.HasInput(6)) return PrepareAddGradBy<Mask::kOfResult>(context);
  return PrepareAddGradBy<Mask::kOfInput>(context);
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kBatchNormAddTrain, .prepare = PrepareTrain<true>, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kBatchNormAddGrad, .prepare = PrepareAddGrad, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kBatchNormTrain, .prepare = PrepareTrain<false>, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kBatchNormInfer, .prepare = PrepareInfer, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kBatchNormGrad, .prepare = PrepareGrad, .workspace_bytes = WorkspaceBytes},
};

}  // namespace

std::span<const KernelRow> BatchNormRows() { return kRows; }

}  // namespace lockstep::cuda
