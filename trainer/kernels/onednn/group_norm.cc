// Group normalisation of images [n, cells, channels]: sums by channel, as vectors of channels, of which each group's
// are added in double. What belongs to a group is spread over its channels before images are gone through. Each image
// has its own sums, and images are added in their order: the bits don't depend on how many threads there are.
#include <algorithm>
#include <cmath>

#include "base/isa_clones.h"
#include "trainer/kernels/elementwise.h"
#include "trainer/kernels/onednn/column_sums.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;

struct Geometry {
  int64_t n, cells, channels, groups;

  Geometry(const Shape& x, const graph::GroupNormAttributes& attributes)
      : n(x[0]), cells(x[1] * x[2]), channels(x[3]), groups(attributes.groups) {}
  int64_t image() const { return cells * channels; }
  int64_t width() const { return channels / groups; }
  double count() const { return static_cast<double>(cells * width()); }

  /// Calls run(group, first channel, last channel + 1).
  template <typename F>
  void ForEachGroup(F&& run) const {
    for (int64_t g = 0; g < groups; ++g) run(g, g * width(), (g + 1) * width());
  }
};

double SumOf(const double* values, int64_t begin, int64_t end) {
  double sum = 0;
  for (int64_t k = begin; k < end; ++k) sum += values[k];
  return sum;
}

/// Adds a tile's lanes to the totals of its columns.
template <typename V, int N>
LOCKSTEP_HD void AddTile(const Tile<V, N>& tile, double* totals) {
  float lanes[Tile<V, N>::kColumns];
  __builtin_memcpy(lanes, &tile, sizeof lanes);
  for (int64_t j = 0; j < Tile<V, N>::kColumns; ++j) totals[j] += static_cast<double>(lanes[j]);
}

/// totals[k] = the sum over the cells of (x - mean[k])^2.
LOCKSTEP_ISA_CLONES
void SquareSums(const float* x, const float* mean, int64_t cells, int64_t channels, double* totals) {
  std::fill(totals, totals + channels, 0.0);
  for (int64_t begin = 0; begin < cells; begin += kRowBlock) {
    const int64_t end = std::min(begin + kRowBlock, cells);
    ForEachTile(channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      Tile<V, N> sum{};
      for (int64_t r = begin; r < end; ++r) {
        for (int i = 0; i < N; ++i) {
          const int64_t at = k + i * kWidth<V>;
          const V d = Load<V>(x + r * channels + at) - Load<V>(mean + at);
          sum.v[i] += d * d;
        }
      }
      AddTile(sum, totals + k);
    });
  }
}

/// What channels are normalised by.
struct Coefficients {
  const float *mean, *inverse, *weight, *bias;
};

LOCKSTEP_ISA_CLONES
void NormaliseImage(const float* x, const Coefficients& coefficients, float* y, int64_t cells, int64_t channels) {
  const auto [mean, inverse, weight, bias] = coefficients;
  for (int64_t r = 0; r < cells; ++r) {
    const float* in = x + r * channels;
    float* out = y + r * channels;
#pragma GCC ivdep
    for (int64_t k = 0; k < channels; ++k) out[k] = kernels::Normalise(in[k], mean[k], inverse[k], weight[k], bias[k]);
  }
}

/// A thread's vectors of channels.
struct Scratch {
  double* totals;
  float* vectors;
  int64_t channels;

  static size_t Bytes(int64_t channels, int vectors) {
    return static_cast<size_t>(channels) * (sizeof(double) + static_cast<size_t>(vectors) * sizeof(float));
  }
  /// Of thread `piece`, in memory of `vectors` vectors a thread that begins at `memory`.
  Scratch(std::byte* memory, int64_t channels, int vectors, int piece)
      : totals(reinterpret_cast<double*>(memory + static_cast<size_t>(piece) * Stride(channels, vectors))),
        vectors(reinterpret_cast<float*>(totals + channels)),
        channels(channels) {}
  static size_t Stride(int64_t channels, int vectors) { return (Bytes(channels, vectors) + 63) / 64 * 64; }
  float* vector(int i) const { return vectors + i * channels; }
};

struct ForwardOperands {
  const float *x, *weight, *bias;
  float *y, *mean, *inverse;  ///< of each image's groups; absent: nullptr
  double epsilon;
};

void ForwardImage(const Geometry& g, const ForwardOperands& o, int64_t image, const Scratch& scratch) {
  const float* x = o.x + image * g.image();
  float *mean = scratch.vector(0), *inverse = scratch.vector(1);
  ColumnSums(x, g.cells, g.channels, scratch.totals, mean);
  g.ForEachGroup([&](int64_t group, int64_t begin, int64_t end) {
    const auto value = static_cast<float>(SumOf(scratch.totals, begin, end) / g.count());
    std::fill(mean + begin, mean + end, value);
    if (o.mean != nullptr) o.mean[image * g.groups + group] = value;
  });
  SquareSums(x, mean, g.cells, g.channels, scratch.totals);
  g.ForEachGroup([&](int64_t group, int64_t begin, int64_t end) {
    const double variance = SumOf(scratch.totals, begin, end) / g.count();
    const auto value = static_cast<float>(1.0 / std::sqrt(variance + o.epsilon));
    std::fill(inverse + begin, inverse + end, value);
    if (o.inverse != nullptr) o.inverse[image * g.groups + group] = value;
  });
  NormaliseImage(x, {mean, inverse, o.weight, o.bias}, o.y + image * g.image(), g.cells, g.channels);
}

constexpr int kForwardVectors = 2, kGradVectors = 4;

size_t ForwardWorkspace(const OpContext& context) {
  return static_cast<size_t>(context.threads) * Scratch::Stride(context.InputShape(0).dim(3), kForwardVectors);
}

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::GroupNormAttributes>();
  const Geometry g(context.InputShape(0), attributes);
  const ForwardOperands operands{.x = context.Input(0),
                                 .weight = context.Input(1),
                                 .bias = context.Input(2),
                                 .y = context.Output(0),
                                 .mean = context.Output(1),
                                 .inverse = context.Output(2),
                                 .epsilon = static_cast<double>(attributes.epsilon)};
  return MakeKernel([=, memory = context.operands.workspace, threads = context.threads] {
    ForEachPiece(threads, g.n, 1, [&](int piece, int64_t begin, int64_t end) {
      const Scratch scratch(memory, g.channels, kForwardVectors, piece);
      for (int64_t image = begin; image < end; ++image) ForwardImage(g, operands, image, scratch);
    });
  });
}

/// An image's sums over its cells, by channel.
struct ImageSums {
  double *products, *sums;  ///< of dy x_hat, and of dy
};

LOCKSTEP_ISA_CLONES
void GradSums(const float* dy, const float* x, const Coefficients& coefficients, int64_t cells, int64_t channels,
              const ImageSums& totals) {
  const Coefficients c = coefficients;
  std::fill(totals.products, totals.products + channels, 0.0);
  std::fill(totals.sums, totals.sums + channels, 0.0);
  for (int64_t begin = 0; begin < cells; begin += kRowBlock) {
    const int64_t end = std::min(begin + kRowBlock, cells);
    ForEachTile(channels, [&]<typename V, int N>(int64_t k) LOCKSTEP_INLINE {
      Tile<V, N> products{}, sums{};
      for (int64_t r = begin; r < end; ++r) {
        for (int i = 0; i < N; ++i) {
          const int64_t channel = k + i * kWidth<V>, at = r * channels + channel;
          const V gradient = Load<V>(dy + at);
          products.v[i] += gradient * ((Load<V>(x + at) - Load<V>(c.mean + channel)) * Load<V>(c.inverse + channel));
          sums.v[i] += gradient;
        }
      }
      AddTile(products, totals.products + k);
      AddTile(sums, totals.sums + k);
    });
  }
}

/// dx = inverse (dy weight - shift - x_hat slope).
LOCKSTEP_ISA_CLONES
void InputGradImage(const float* dy, const float* x, const Coefficients& coefficients, const float* shift,
                    const float* slope, float* dx, int64_t cells, int64_t channels) {
  const Coefficients c = coefficients;
  for (int64_t r = 0; r < cells; ++r) {
    const float *gradient = dy + r * channels, *in = x + r * channels;
    float* out = dx + r * channels;
#pragma GCC ivdep
    for (int64_t k = 0; k < channels; ++k) {
      const float x_hat = (in[k] - c.mean[k]) * c.inverse[k];
      out[k] = c.inverse[k] * (gradient[k] * c.weight[k] - shift[k] - x_hat * slope[k]);
    }
  }
}

struct GradOperands {
  const float *dy, *x, *weight, *mean, *inverse;
  float *dx, *dweight, *dbias;  ///< absent: nullptr
};

void GradImage(const Geometry& g, const GradOperands& o, int64_t image, const Scratch& scratch,
               const ImageSums& totals) {
  float *mean = scratch.vector(0), *inverse = scratch.vector(1), *shift = scratch.vector(2), *slope = scratch.vector(3);
  const float *dy = o.dy + image * g.image(), *x = o.x + image * g.image();
  g.ForEachGroup([&](int64_t group, int64_t begin, int64_t end) {
    std::fill(mean + begin, mean + end, o.mean[image * g.groups + group]);
    std::fill(inverse + begin, inverse + end, o.inverse[image * g.groups + group]);
  });
  const Coefficients coefficients{mean, inverse, o.weight, nullptr};
  GradSums(dy, x, coefficients, g.cells, g.channels, totals);
  if (o.dx == nullptr) return;
  g.ForEachGroup([&](int64_t, int64_t begin, int64_t end) {
    double sum = 0, product = 0;
    for (int64_t k = begin; k < end; ++k) {
      sum += static_cast<double>(o.weight[k]) * totals.sums[k];
      product += static_cast<double>(o.weight[k]) * totals.products[k];
    }
    std::fill(shift + begin, shift + end, static_cast<float>(sum / g.count()));
    std::fill(slope + begin, slope + end, static_cast<float>(product / g.count()));
  });
  InputGradImage(dy, x, coefficients, shift, slope, o.dx + image * g.image(), g.cells, g.channels);
}

/// Images' sums first, then what threads need.
size_t ImageSumsBytes(const Shape& x) { return static_cast<size_t>(2 * x.dim(0) * x.dim(3)) * sizeof(double); }
size_t GradWorkspace(const OpContext& context) {
  const Shape& x = context.InputShape(1);
  return ImageSumsBytes(x) + static_cast<size_t>(context.threads) * Scratch::Stride(x.dim(3), kGradVectors);
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const Geometry g(context.InputShape(1), context.Attributes<graph::GroupNormAttributes>());
  const GradOperands operands{.dy = context.Input(0),
                              .x = context.Input(1),
                              .weight = context.Input(2),
                              .mean = context.Input(3),
                              .inverse = context.Input(4),
                              .dx = context.Output(0),
                              .dweight = context.Output(1),
                              .dbias = context.Output(2)};
  auto* const sums = reinterpret_cast<double*>(context.operands.workspace);
  auto* const memory = context.operands.workspace + ImageSumsBytes(context.InputShape(1));
  return MakeKernel([=, threads = context.threads] {
    ForEachPiece(threads, g.n, 1, [&](int piece, int64_t begin, int64_t end) {
      const Scratch scratch(memory, g.channels, kGradVectors, piece);
      for (int64_t image = begin; image < end; ++image) {
        double* of_image = sums + 2 * image * g.channels;
        GradImage(g, operands, image, scratch, {of_image, of_image + g.channels});
      }
    });
    const auto total = [&](int64_t k) {
      double sum = 0;
      for (int64_t image = 0; image < g.n; ++image) sum += sums[2 * image * g.channels + k];
      return static_cast<float>(sum);
    };
    for (int64_t k = 0; k < g.channels && operands.dweight != nullptr; ++k) operands.dweight[k] = total(k);
    for (int64_t k = 0; k < g.channels && operands.dbias != nullptr; ++k) operands.dbias[k] = total(g.channels + k);
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kGroupNorm, .prepare = PrepareForward, .workspace_bytes = ForwardWorkspace},
    {.kind = OpKind::kGroupNormGrad, .prepare = PrepareGrad, .workspace_bytes = GradWorkspace},
};

}  // namespace

std::span<const KernelRow> GroupNormRows() { return kRows; }

}  // namespace lockstep::onednn
