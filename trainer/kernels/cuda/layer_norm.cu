// Layer normalisation: each row of [rows, size] by itself, by a team of threads; the gradients of weight and bias are
// reductions over the rows.
#include <cmath>

#include "trainer/kernels/cuda/columns.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/cuda/row_teams.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

template <typename T, int kPack>
struct NormaliseRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float sums[kThreads], squares[kThreads];
  };

  const T* x;
  const float *weight, *bias;  ///< bias absent: nullptr
  T* y;
  float *means, *inv_stds;  ///< absent: nullptr
  RowPlan plan;
  float epsilon;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    const auto n = static_cast<float>(plan.size);
    block.ForEachThread([&](int t) {
      float sum = 0;
      plan.ForEachPackOf<kPack>(x, block.index(), t, [&](const float* v, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) sum += v[i];
      });
      shared.sums[t] = sum;
    });
    SumTeams(block, plan, shared.sums);
    block.ForEachThread([&](int t) {
      const float mean = shared.sums[plan.Leader(t)] / n;
      float squares = 0;
      plan.ForEachPackOf<kPack>(x, block.index(), t, [&](const float* v, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) squares += (v[i] - mean) * (v[i] - mean);
      });
      shared.squares[t] = squares;
    });
    SumTeams(block, plan, shared.squares);
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (row >= plan.rows) return;
      const float mean = shared.sums[plan.Leader(t)] / n;
      const float inv_std = 1.0f / sqrtf(shared.squares[plan.Leader(t)] / n + epsilon);
      if (plan.Leads(t) && means != nullptr) means[row] = mean;
      if (plan.Leads(t) && inv_stds != nullptr) inv_stds[row] = inv_std;
      plan.ForEachPackOf<kPack>(x, block.index(), t, [&](const float* v, int64_t at) {
        float w[kPack], b[kPack] = {}, out[kPack];
        LoadPack<kPack>(weight + at, w);
        if (bias != nullptr) LoadPack<kPack>(bias + at, b);
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) out[i] = kernels::Normalise(v[i], mean, inv_std, w[i], b[i]);
        StorePack<kPack>(out, y + row * plan.size + at);
      });
    });
  }
};

/// dx = inv_std (g - mean(g) - x_hat mean(g x_hat)), with g = dy weight.
template <typename T, int kPack>
struct InputGradRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float sums[kThreads], products[kThreads];
  };

  const T *dy, *x;
  const float *weight, *means, *inv_stds;
  T* dx;
  RowPlan plan;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      float sum = 0, product = 0;
      ForEachPack(block.index(), t, [&](const float* g, const float* x_hat, float, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          sum += g[i];
          product += g[i] * x_hat[i];
        }
      });
      shared.sums[t] = sum;
      shared.products[t] = product;
    });
    SumTeams(block, plan, shared.sums);
    SumTeams(block, plan, shared.products);
    block.ForEachThread([&](int t) {
      const auto n = static_cast<float>(plan.size);
      const float shift = shared.sums[plan.Leader(t)] / n, slope = shared.products[plan.Leader(t)] / n;
      ForEachPack(block.index(), t, [&](const float* g, const float* x_hat, float inv_std, int64_t at) {
        float out[kPack];
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) out[i] = inv_std * (g[i] - shift - x_hat[i] * slope);
        StorePack<kPack>(out, dx + at);
      });
    });
  }

 private:
  /// Calls visit(g, x_hat, inv_std, place in the matrix) for a thread's packs; none behind the last row.
  template <typename Visit>
  LOCKSTEP_HD void ForEachPack(int64_t block, int t, Visit&& visit) const {
    const int64_t row = plan.Row(block, t);
    if (row >= plan.rows) return;
    const float mean = means[row], inv_std = inv_stds[row];
    plan.ForEachPack<kPack>(t, [&](int64_t at) {
      float g[kPack], x_hat[kPack], w[kPack];
      LoadPack<kPack>(dy + row * plan.size + at, g);
      LoadPack<kPack>(x + row * plan.size + at, x_hat);
      LoadPack<kPack>(weight + at, w);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        g[i] *= w[i];
        x_hat[i] = (x_hat[i] - mean) * inv_std;
      }
      visit(g, x_hat, inv_std, row * plan.size + at);
    });
  }
};

/// dweight = the sum of dy x_hat over the rows, dbias that of dy.
template <typename T>
struct ParameterGrads {
  static constexpr int kValues = 2;

  const T *dy, *x;
  const float *means, *inv_stds;
  int64_t size;
  float *dweight, *dbias;  ///< absent: nullptr

  template <int kPack>
  struct Reader {
    const T *dy, *x;
    const float *means, *inv_stds;
    int64_t size;

    template <int kRows>
    LOCKSTEP_HD void Add(int64_t row, int step, float /*seen*/, float (&values)[2][kPack]) const {
      float g[kRows][kPack], v[kRows][kPack], mean[kRows], inv_std[kRows];
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const int64_t at = row + int64_t{r} * step;
        LoadPack<kPack>(dy + at * size, g[r]);
        LoadPack<kPack>(x + at * size, v[r]);
        mean[r] = means[at];
        inv_std[r] = inv_stds[at];
      }
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          values[0][i] += g[r][i] * ((v[r][i] - mean[r]) * inv_std[r]);
          values[1][i] += g[r][i];
        }
      }
    }
  };
  template <int kPack>
  LOCKSTEP_HD Reader<kPack> At(int64_t column) const {
    return {dy + column, x + column, means, inv_stds, size};
  }
  template <typename S>
  static LOCKSTEP_HD void Combine(S* values, const S* others, S, S) {
    AddValues<2>(values, others);
  }
  LOCKSTEP_HD void Finish(int64_t column, const double* values) const {
    if (dweight != nullptr) dweight[column] = static_cast<float>(values[0]);
    if (dbias != nullptr) dbias[column] = static_cast<float>(values[1]);
  }
};

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({size}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const NormaliseRows<T, kPack> kernel{.x = context.Input<T>(0),
                                           .weight = context.Input(1),
                                           .bias = context.Input(2),
                                           .y = context.Output<T>(0),
                                           .means = context.Output(1),
                                           .inv_stds = context.Output(2),
                                           .plan = PlanRows(rows, size, kPack),
                                           .epsilon = context.Attributes<graph::NormAttributes>().epsilon};
      return MakeKernel([kernel, stream = &context.stream] { Launch(*stream, kernel.plan.blocks(), kernel); });
    });
  });
}

size_t GradWorkspace(const OpContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({size}, [&](auto pack) { return ColumnReductionBytes(rows, size, pack, 2); });
  });
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({size}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const T *dy = context.Input<T>(0), *x = context.Input<T>(1);
      const float *means = context.Input(3), *inv_stds = context.Input(4);
      const ParameterGrads<T> parameters{dy, x, means, inv_stds, size, context.Output(1), context.Output(2)};
      const InputGradRows<T, kPack> input{
          dy, x, context.Input(2), means, inv_stds, context.Output<T>(0), PlanRows(rows, size, kPack)};
      auto* partial = reinterpret_cast<float*>(context.operands.workspace);
      return MakeKernel([=, stream = &context.stream] {
        if (parameters.dweight != nullptr || parameters.dbias != nullptr) {
          LaunchColumnReduction<kPack>(*stream, rows, size, parameters, partial);
        }
        if (input.dx != nullptr) Launch(*stream, input.plan.blocks(), input);
      });
    });
  });
}

}  // namespace

KernelRow LayerNormRow(OpKind kind) {
  switch (kind) {
    case OpKind::kLayerNorm:
      return {.prepare = PrepareForward};
    case OpKind::kLayerNormGrad:
      return {.prepare = PrepareGrad, .workspace_bytes = GradWorkspace};
    default:
      return {};
  }
}

}  // namespace lockstep::cuda
