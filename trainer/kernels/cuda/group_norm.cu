// Group normalisation of images [n, cells, channels]: a block for each group of an image; the gradients of weight and
// bias are reductions over the cells of all images.
#include <cmath>

#include "trainer/kernels/cuda/blocks/columns.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

constexpr int kGroupThreads = 256;

/// A block's group is block / groups' image's group block % groups: in the order of statistics [n, groups].
struct GroupGeometry {
  int64_t n, cells, channels, groups, width;

  GroupGeometry(const Shape& x, const graph::GroupNormAttributes& attributes)
      : n(x.dim(0)),
        cells(x.dim(1) * x.dim(2)),
        channels(x.dim(3)),
        groups(attributes.groups),
        width(channels / groups) {}

  int64_t blocks() const { return n * groups; }
  LOCKSTEP_HD float count() const { return static_cast<float>(cells * width); }
  /// Calls visit(index in the images, channel) for this thread's packs of the block's group.
  template <int kPack, typename Visit>
  LOCKSTEP_HD void ForEachPack(int64_t block, int thread, Visit&& visit) const {
    const Quotient image = Divide(block, groups);
    const int64_t packs = width / kPack, first = image.remainder * width;
    for (int64_t i = thread; i < cells * packs; i += kGroupThreads) {
      const Quotient cell = Divide(i, packs);
      const int64_t channel = first + cell.remainder * kPack;
      visit((image.quotient * cells + cell.quotient) * channels + channel, channel);
    }
  }
};

template <typename T, int kPack>
struct NormaliseGroups {
  static constexpr int kThreads = kGroupThreads;
  struct Shared {
    float sums[kThreads], squares[kThreads];
  };

  GroupGeometry g;
  const T* x;
  const float *weight, *bias;
  T* y;
  float *means, *inverses;  ///< absent: nullptr
  float epsilon;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    const int64_t group = block.index();
    block.ForEachThread([&](int t) { shared.sums[t] = SumOf(group, t, [](float v) { return v; }); });
    TreeSum<kThreads>(block, shared.sums);
    block.ForEachThread([&](int t) {
      const float mean = shared.sums[0] / g.count();
      shared.squares[t] = SumOf(group, t, [mean](float v) { return (v - mean) * (v - mean); });
    });
    TreeSum<kThreads>(block, shared.squares);
    block.ForEachThread([&](int t) {
      const float mean = shared.sums[0] / g.count(), inverse = 1.0f / sqrtf(shared.squares[0] / g.count() + epsilon);
      if (t == 0 && means != nullptr) means[group] = mean;
      if (t == 0 && inverses != nullptr) inverses[group] = inverse;
      Write(group, t, mean, inverse);
    });
  }

 private:
  /// Of term(x) of this thread's elements.
  template <typename Term>
  LOCKSTEP_HD float SumOf(int64_t group, int t, Term&& term) const {
    float sum = 0;
    g.template ForEachPack<kPack>(group, t, [&](int64_t at, int64_t) {
      float v[kPack];
      LoadPack<kPack>(x + at, v);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) sum += term(v[i]);
    });
    return sum;
  }

  LOCKSTEP_HD void Write(int64_t group, int t, float mean, float inverse) const {
    g.template ForEachPack<kPack>(group, t, [&](int64_t at, int64_t channel) {
      float v[kPack];
      LoadPack<kPack>(x + at, v);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i)
        v[i] = kernels::Normalise(v[i], mean, inverse, weight[channel + i], bias[channel + i]);
      StorePack<kPack>(v, y + at);
    });
  }
};

/// dx = inverse (g - mean(g) - x_hat mean(g x_hat)), with g = dy weight.
template <typename T, int kPack>
struct InputGradGroups {
  static constexpr int kThreads = kGroupThreads;
  struct Shared {
    float sums[kThreads], products[kThreads];
  };

  GroupGeometry g;
  const T *dy, *x;
  const float *weight, *means, *inverses;
  T* dx;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      float sum = 0, product = 0;
      ForEachPack(block.index(), t, [&](const float* gradient, const float* x_hat, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          sum += gradient[i];
          product += gradient[i] * x_hat[i];
        }
      });
      shared.sums[t] = sum;
      shared.products[t] = product;
    });
    TreeSum<kThreads>(block, shared.sums);
    TreeSum<kThreads>(block, shared.products);
    block.ForEachThread([&](int t) {
      const float shift = shared.sums[0] / g.count(), slope = shared.products[0] / g.count();
      const float inverse = inverses[block.index()];
      ForEachPack(block.index(), t, [&](const float* gradient, const float* x_hat, int64_t at) {
        float out[kPack];
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) out[i] = inverse * (gradient[i] - shift - x_hat[i] * slope);
        StorePack<kPack>(out, dx + at);
      });
    });
  }

 private:
  /// Calls visit(g, x_hat, index in the images) for this thread's packs.
  template <typename Visit>
  LOCKSTEP_HD void ForEachPack(int64_t group, int t, Visit&& visit) const {
    const float mean = means[group], inverse = inverses[group];
    g.template ForEachPack<kPack>(group, t, [&](int64_t at, int64_t channel) {
      float gradient[kPack], x_hat[kPack];
      LoadPack<kPack>(dy + at, gradient);
      LoadPack<kPack>(x + at, x_hat);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        gradient[i] *= weight[channel + i];
        x_hat[i] = (x_hat[i] - mean) * inverse;
      }
      visit(gradient, x_hat, at);
    });
  }
};

/// dweight = the sum of dy x_hat over all cells; dbias that of dy.
template <typename T>
struct ParameterGrads {
  static constexpr int kValues = 2;

  GroupGeometry g;
  const T *dy, *x;
  const float *means, *inverses;
  float *dweight, *dbias;  ///< absent: nullptr

  template <int kPack>
  struct Reader {
    ParameterGrads all;
    int64_t column, group;

    template <int kRows>
    LOCKSTEP_HD void Add(int64_t row, int step, float /*seen*/, float (&values)[kValues][kPack]) const {
      float gradient[kRows][kPack], v[kRows][kPack], mean[kRows], inverse[kRows];
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const int64_t at = row + int64_t{r} * step;
        LoadPack<kPack>(all.dy + at * all.g.channels + column, gradient[r]);
        LoadPack<kPack>(all.x + at * all.g.channels + column, v[r]);
        const int64_t statistics = Divide(at, all.g.cells).quotient * all.g.groups + group;
        mean[r] = all.means[statistics];
        inverse[r] = all.inverses[statistics];
      }
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          values[0][i] += gradient[r][i] * ((v[r][i] - mean[r]) * inverse[r]);
          values[1][i] += gradient[r][i];
        }
      }
    }
  };
  /// A pack's columns are of one group.
  template <int kPack>
  LOCKSTEP_HD Reader<kPack> At(int64_t column) const {
    return {*this, column, Divide(column, g.width).quotient};
  }
  template <typename S>
  static LOCKSTEP_HD void Combine(S* values, const S* others, S, S) {
    AddValues<kValues>(values, others);
  }
  LOCKSTEP_HD void Finish(int64_t column, const double* values) const {
    if (dweight != nullptr) dweight[column] = static_cast<float>(values[0]);
    if (dbias != nullptr) dbias[column] = static_cast<float>(values[1]);
  }
};

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const auto& attributes = context.Attributes<graph::GroupNormAttributes>();
  const GroupGeometry g(context.InputShape(0), attributes);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({g.width}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const NormaliseGroups<T, kPack> kernel{.g = g,
                                             .x = context.Input<T>(0),
                                             .weight = context.Input(1),
                                             .bias = context.Input(2),
                                             .y = context.Output<T>(0),
                                             .means = context.Output(1),
                                             .inverses = context.Output(2),
                                             .epsilon = attributes.epsilon};
      return MakeKernel([kernel, stream = &context.stream] { Launch(*stream, kernel.g.blocks(), kernel); });
    });
  });
}

size_t GradWorkspace(const OpContext& context) {
  const GroupGeometry g(context.InputShape(1), context.Attributes<graph::GroupNormAttributes>());
  return WithElementType(context.InputType(1), [&]<typename T>(T) {
    return WithPack<T>({g.width}, [&](auto pack) {
      return ColumnReductionBytes(g.n * g.cells, g.channels, pack, ParameterGrads<T>::kValues);
    });
  });
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const GroupGeometry g(context.InputShape(1), context.Attributes<graph::GroupNormAttributes>());
  const float *weight = context.Input(2), *means = context.Input(3), *inverses = context.Input(4);
  return WithElementType(context.InputType(1), [&]<typename T>(T) {
    return WithPack<T>({g.width}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const T *dy = context.Input<T>(0), *x = context.Input<T>(1);
      const ParameterGrads<T> parameters{g, dy, x, means, inverses, context.Output(1), context.Output(2)};
      const InputGradGroups<T, kPack> input{g, dy, x, weight, means, inverses, context.Output<T>(0)};
      auto* partial = reinterpret_cast<float*>(context.operands.workspace);
      return MakeKernel([=, stream = &context.stream] {
        if (parameters.dweight != nullptr || parameters.dbias != nullptr) {
          LaunchColumnReduction<kPack>(*stream, g.n * g.cells, g.channels, parameters, partial);
        }
        if (input.dx != nullptr) Launch(*stream, g.blocks(), input);
      });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kGroupNorm, .prepare = PrepareForward},
    {.kind = OpKind::kGroupNormGrad, .prepare = PrepareGrad, .workspace_bytes = GradWorkspace},
};

}  // namespace

std::span<const KernelRow> GroupNormRows() { return kRows; }

}  // namespace lockstep::cuda
