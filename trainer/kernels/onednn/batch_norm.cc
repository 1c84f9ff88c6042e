// Batch normalisation over [rows, channels].
//
// Moments are taken in one pass over memory: a block of rows gives its mean and its centred sum of squares, in float,
// while it is in cache; blocks are combined in double (Chan, Golub and LeVeque, "Updating formulae and a pairwise
// algorithm for computing sample variances", 1979).
#include <algorithm>
#include <cmath>

#include "base/isa_clones.h"
#include "trainer/kernels/elementwise.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::Activation;
using graph::NormAttributes;
using graph::OpKind;

constexpr int64_t kLeastRows = 256;

template <typename V>
LOCKSTEP_HD V ReluOf(V v) {
  return v <= V{} ? V{} : v;
}

/// Adds a sample of `count` rows with mean b_mean and centred sum of squares b_squares to one of `seen` rows.
LOCKSTEP_HD void Combine(double seen, double count, double b_mean, double b_squares, double* mean, double* squares) {
  const double delta = b_mean - *mean;
  const double share = count / (seen + count);
  *mean += delta * share;
  *squares += b_squares + delta * delta * (seen * share);
}

/// The mean and the centred sum of squares of each column over rows [begin, end).
LOCKSTEP_ISA_CLONES
void Moments(const float* x, int64_t begin, int64_t end, int64_t channels, double* mean, double* squares) {
  std::fill(mean, mean + channels, 0.0);
  std::fill(squares, squares + channels, 0.0);
  for (int64_t first = begin; first < end; first += kRowBlock) {
    const int64_t last = std::min(first + kRowBlock, end);
    const auto rows = static_cast<float>(last - first);
    const auto seen = static_cast<double>(first - begin);
    ForEachTile(channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      Tile<V, N> block_mean{}, block_squares{};
      for (int64_t r = first; r < last; ++r) {
        for (int i = 0; i < N; ++i) block_mean.v[i] += Load<V>(x + r * channels + k + i * kWidth<V>);
      }
      for (int i = 0; i < N; ++i) block_mean.v[i] /= rows;
      for (int64_t r = first; r < last; ++r) {
        for (int i = 0; i < N; ++i) {
          const V d = Load<V>(x + r * channels + k + i * kWidth<V>) - block_mean.v[i];
          block_squares.v[i] += d * d;
        }
      }
      constexpr int64_t kColumns = Tile<V, N>::kColumns;
      float m[kColumns], s[kColumns];
      __builtin_memcpy(m, &block_mean, sizeof m);
      __builtin_memcpy(s, &block_squares, sizeof s);
      for (int64_t j = 0; j < kColumns; ++j) {
        Combine(seen, static_cast<double>(rows), static_cast<double>(m[j]), static_cast<double>(s[j]), mean + k + j,
                squares + k + j);
      }
    });
  }
}

/// Of [rows, channels] to normalise, with a number per channel of each kind.
struct NormaliseOperands {
  const float* x;
  float* y;
  int64_t channels;
  const float *mean, *scale, *bias;
};

/// y = (x - mean) * scale + bias, and relu.
template <bool kRelu>
LOCKSTEP_HD void NormaliseLoop(const NormaliseOperands& operands, int64_t begin, int64_t end) {
  const NormaliseOperands o = operands;
  for (int64_t first = begin; first < end; first += kRowBlock) {
    const int64_t last = std::min(first + kRowBlock, end);
    ForEachTile(o.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      Tile<V, N> m, s, b;
      __builtin_memcpy(&m, o.mean + k, sizeof m);
      __builtin_memcpy(&s, o.scale + k, sizeof s);
      __builtin_memcpy(&b, o.bias + k, sizeof b);
      for (int64_t r = first; r < last; ++r) {
        for (int i = 0; i < N; ++i) {
          const int64_t at = r * o.channels + k + i * kWidth<V>;
          const V v = (Load<V>(o.x + at) - m.v[i]) * s.v[i] + b.v[i];
          Store(o.y + at, kRelu ? ReluOf(v) : v);
        }
      }
    });
  }
}

LOCKSTEP_ISA_CLONES
void Normalise(bool relu, const NormaliseOperands& operands, int64_t begin, int64_t end) {
  if (relu) return NormaliseLoop<true>(operands, begin, end);
  NormaliseLoop<false>(operands, begin, end);
}

/// Of [rows, channels] to differentiate. Where there is a y, dy counts where that is positive, and as 0 elsewhere.
struct GradOperands {
  const float *dy, *x, *y;
  float* dx;
  int64_t channels;
  const float* mean;  ///< by channel

  /// dy of `V`'s elements from `at` on.
  template <typename V, bool kRelu>
  LOCKSTEP_HD V Gradient(int64_t at) const {
    const V g = Load<V>(dy + at);
    if constexpr (kRelu) return Load<V>(y + at) > V{} ? g : V{};
    return g;
  }
};

/// The sums of dy and of dy * (x - mean) over rows [begin, end).
template <bool kRelu>
LOCKSTEP_HD void GradSumsLoop(const GradOperands& operands, int64_t begin, int64_t end, double* sum, double* product) {
  const GradOperands o = operands;
  std::fill(sum, sum + o.channels, 0.0);
  std::fill(product, product + o.channels, 0.0);
  for (int64_t first = begin; first < end; first += kRowBlock) {
    const int64_t last = std::min(first + kRowBlock, end);
    ForEachTile(o.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      Tile<V, N> m, a{}, b{};
      __builtin_memcpy(&m, o.mean + k, sizeof m);
      for (int64_t r = first; r < last; ++r) {
        for (int i = 0; i < N; ++i) {
          const int64_t at = r * o.channels + k + i * kWidth<V>;
          const V g = o.Gradient<V, kRelu>(at);
          a.v[i] += g;
          b.v[i] += g * (Load<V>(o.x + at) - m.v[i]);
        }
      }
      constexpr int64_t kColumns = Tile<V, N>::kColumns;
      float p[kColumns], q[kColumns];
      __builtin_memcpy(p, &a, sizeof p);
      __builtin_memcpy(q, &b, sizeof q);
      for (int64_t j = 0; j < kColumns; ++j) sum[k + j] += static_cast<double>(p[j]);
      for (int64_t j = 0; j < kColumns; ++j) product[k + j] += static_cast<double>(q[j]);
    });
  }
}

LOCKSTEP_ISA_CLONES
void GradSums(const GradOperands& operands, int64_t begin, int64_t end, double* sum, double* product) {
  if (operands.y != nullptr) return GradSumsLoop<true>(operands, begin, end, sum, product);
  GradSumsLoop<false>(operands, begin, end, sum, product);
}

/// What follows from the sums, by channel.
struct GradFactors {
  const float *scale, *shift, *slope;
};

/// dx = scale * (dy - shift - (x - mean) * slope).
template <bool kRelu>
LOCKSTEP_HD void InputGradLoop(const GradOperands& operands, const GradFactors& factors, int64_t begin, int64_t end) {
  const GradOperands o = operands;
  const GradFactors f = factors;
  for (int64_t first = begin; first < end; first += kRowBlock) {
    const int64_t last = std::min(first + kRowBlock, end);
    ForEachTile(o.channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      Tile<V, N> m, s, b, p;
      __builtin_memcpy(&m, o.mean + k, sizeof m);
      __builtin_memcpy(&s, f.scale + k, sizeof s);
      __builtin_memcpy(&b, f.shift + k, sizeof b);
      __builtin_memcpy(&p, f.slope + k, sizeof p);
      for (int64_t r = first; r < last; ++r) {
        for (int i = 0; i < N; ++i) {
          const int64_t at = r * o.channels + k + i * kWidth<V>;
          const V g = o.Gradient<V, kRelu>(at);
          Store(o.dx + at, s.v[i] * (g - b.v[i] - (Load<V>(o.x + at) - m.v[i]) * p.v[i]));
        }
      }
    });
  }
}

LOCKSTEP_ISA_CLONES
void InputGrad(const GradOperands& operands, const GradFactors& factors, int64_t begin, int64_t end) {
  if (operands.y != nullptr) return InputGradLoop<true>(operands, factors, begin, end);
  InputGradLoop<false>(operands, factors, begin, end);
}

/// The workspace: for each thread two sums per channel, then `kVectors` floats per channel.
struct Scratch {
  static constexpr int64_t kVectors = 4;
  std::byte* memory;
  int64_t channels;
  int threads;

  static size_t Bytes(int64_t channels, int threads) {
    return static_cast<size_t>(channels) *
           (2 * static_cast<size_t>(threads) * sizeof(double) + static_cast<size_t>(kVectors) * sizeof(float));
  }
  double* Sums(int thread, int which) const {
    return reinterpret_cast<double*>(memory) + (2 * static_cast<int64_t>(thread) + which) * channels;
  }
  float* Vector(int which) const {
    return reinterpret_cast<float*>(reinterpret_cast<double*>(memory) + 2 * static_cast<int64_t>(threads) * channels) +
           which * channels;
  }
};

size_t WorkspaceBytes(const OpContext& context) {
  return Scratch::Bytes(context.InputShape(0).dim(-1), context.threads);
}

bool FusedRelu(const OpContext& context) {
  const Activation activation = context.Attributes<NormAttributes>().activation;
  CHECK(activation == Activation::kNone || activation == Activation::kRelu, "batch norm with {}",
        graph::Name(activation));
  return activation == Activation::kRelu;
}

struct TrainKernel final : engine::Kernel {
  const float *x, *weight, *bias;
  float *y, *mean, *variance, *inv_std;
  int64_t rows, channels;
  double epsilon;
  bool relu;
  int threads;
  Scratch scratch;

  explicit TrainKernel(const KernelContext& context)
      : x(context.Input(0)),
        weight(context.Input(1)),
        bias(context.Input(2)),
        y(context.Output(0)),
        mean(context.Output(1)),
        variance(context.Output(2)),
        inv_std(context.Output(3)),
        rows(Rows(context.InputShape(0))),
        channels(context.InputShape(0).dim(-1)),
        epsilon(static_cast<double>(context.Attributes<NormAttributes>().epsilon)),
        relu(FusedRelu(context)),
        threads(context.threads),
        scratch{context.operands.workspace, channels, threads} {
    // Results that nobody wants are needed here all the same.
    if (mean == nullptr) mean = scratch.Vector(1);
    if (variance == nullptr) variance = scratch.Vector(2);
    if (inv_std == nullptr) inv_std = scratch.Vector(3);
  }

  void Run() override {
    const Pieces pieces(threads, rows, kLeastRows);
    ForEachPiece(pieces, [&](int piece, int64_t begin, int64_t end) {
      Moments(x, begin, end, channels, scratch.Sums(piece, 0), scratch.Sums(piece, 1));
    });
    double *total_mean = scratch.Sums(0, 0), *total_squares = scratch.Sums(0, 1);
    for (int piece = 1; piece < pieces.count; ++piece) {
      const auto seen = static_cast<double>(pieces.begin(piece));
      const auto count = static_cast<double>(pieces.end(piece) - pieces.begin(piece));
      for (int64_t k = 0; k < channels; ++k) {
        Combine(seen, count, scratch.Sums(piece, 0)[k], scratch.Sums(piece, 1)[k], total_mean + k, total_squares + k);
      }
    }
    float* scale = scratch.Vector(0);
    const auto n = static_cast<double>(rows);
    for (int64_t k = 0; k < channels; ++k) {
      const double inverse = 1.0 / std::sqrt(total_squares[k] / n + epsilon);
      mean[k] = static_cast<float>(total_mean[k]);
      variance[k] = static_cast<float>(total_squares[k] / std::max(n - 1.0, 1.0));
      inv_std[k] = static_cast<float>(inverse);
      scale[k] = static_cast<float>(inverse * static_cast<double>(weight[k]));
    }
    const NormaliseOperands operands{x, y, channels, mean, scale, bias};
    ForEachPiece(threads, rows, kLeastRows,
                 [&](int, int64_t begin, int64_t end) { Normalise(relu, operands, begin, end); });
  }
};

std::unique_ptr<Kernel> PrepareTrain(const KernelContext& context) { return std::make_unique<TrainKernel>(context); }

std::unique_ptr<Kernel> PrepareInfer(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), channels = context.InputShape(0).dim(-1);
  const auto epsilon = static_cast<double>(context.Attributes<NormAttributes>().epsilon);
  const bool relu = FusedRelu(context);
  float* scale = Scratch{context.operands.workspace, channels, context.threads}.Vector(0);
  const NormaliseOperands operands{.x = context.Input(0),
                                   .y = context.Output(0),
                                   .channels = channels,
                                   .mean = context.Input(3),
                                   .scale = scale,
                                   .bias = context.Input(2)};
  return MakeKernel([=, weight = context.Input(1), variance = context.Input(4), threads = context.threads] {
    for (int64_t k = 0; k < channels; ++k) {
      scale[k] =
          static_cast<float>(static_cast<double>(weight[k]) / std::sqrt(static_cast<double>(variance[k]) + epsilon));
    }
    ForEachPiece(threads, rows, kLeastRows,
                 [&](int, int64_t begin, int64_t end) { Normalise(relu, operands, begin, end); });
  });
}

struct GradKernel final : engine::Kernel {
  GradOperands operands;
  const float *weight, *inv_std;
  float *dweight, *dbias;
  int64_t rows, channels;
  int threads;
  Scratch scratch;

  explicit GradKernel(const KernelContext& context)
      : operands{.dy = context.Input(0),
                 .x = context.Input(1),
                 .y = FusedRelu(context) ? context.Input(5) : nullptr,
                 .dx = context.Output(0),
                 .channels = context.InputShape(0).dim(-1),
                 .mean = context.Input(3)},
        weight(context.Input(2)),
        inv_std(context.Input(4)),
        dweight(context.Output(1)),
        dbias(context.Output(2)),
        rows(Rows(context.InputShape(0))),
        channels(context.InputShape(0).dim(-1)),
        threads(context.threads),
        scratch{context.operands.workspace, channels, threads} {
    CHECK(operands.y != nullptr || !FusedRelu(context), "the gradient of a fused activation needs its result");
  }

  void Run() override {
    const Pieces pieces(threads, rows, kLeastRows);
    ForEachPiece(pieces, [&](int piece, int64_t begin, int64_t end) {
      GradSums(operands, begin, end, scratch.Sums(piece, 0), scratch.Sums(piece, 1));
    });
    float *scale = scratch.Vector(0), *shift = scratch.Vector(1), *slope = scratch.Vector(2);
    const auto n = static_cast<double>(rows);
    for (int64_t k = 0; k < channels; ++k) {
      double sum = 0, product = 0;
      for (int piece = 0; piece < pieces.count; ++piece) {
        sum += scratch.Sums(piece, 0)[k];
        product += scratch.Sums(piece, 1)[k];
      }
      const auto inverse = static_cast<double>(inv_std[k]);
      if (dbias != nullptr) dbias[k] = static_cast<float>(sum);
      if (dweight != nullptr) dweight[k] = static_cast<float>(product * inverse);
      scale[k] = static_cast<float>(inverse * static_cast<double>(weight[k]));
      shift[k] = static_cast<float>(sum / n);
      slope[k] = static_cast<float>(product * inverse * inverse / n);
    }
    if (operands.dx == nullptr) return;
    const GradFactors factors{scale, shift, slope};
    ForEachPiece(threads, rows, kLeastRows,
                 [&](int, int64_t begin, int64_t end) { InputGrad(operands, factors, begin, end); });
  }
};

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) { return std::make_unique<GradKernel>(context); }

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kBatchNormTrain, .prepare = PrepareTrain, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kBatchNormInfer, .prepare = PrepareInfer, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kBatchNormGrad, .prepare = PrepareGrad, .workspace_bytes = WorkspaceBytes},
};

}  // namespace

std::span<const KernelRow> BatchNormRows() { return kRows; }

}  // namespace lockstep::onednn
