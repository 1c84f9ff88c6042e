// RMS normalisation: each row of [rows, size] by itself, by a team of threads; the gradient of the weight is a
// reduction over the rows.
#include <cmath>

#include "trainer/kernels/cuda/columns.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/cuda/row_teams.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

template <typename T, int kPack>
struct NormaliseRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float squares[kThreads];
  };

  const T* x;
  const float* weight;
  T* y;
  float* inv_rms;  ///< absent: nullptr
  RowPlan plan;
  float epsilon;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      float squares = 0;
      plan.ForEachPackOf<kPack>(x, block.index(), t, [&](const float* v, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) squares += v[i] * v[i];
      });
      shared.squares[t] = squares;
    });
    SumTeams(block, plan, shared.squares);
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (row >= plan.rows) return;
      const float factor = 1.0f / sqrtf(shared.squares[plan.Leader(t)] / static_cast<float>(plan.size) + epsilon);
      if (plan.Leads(t) && inv_rms != nullptr) inv_rms[row] = factor;
      plan.ForEachPackOf<kPack>(x, block.index(), t, [&](const float* v, int64_t at) {
        float w[kPack], out[kPack];
        LoadPack<kPack>(weight + at, w);
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) out[i] = v[i] * factor * w[i];
        StorePack<kPack>(out, y + row * plan.size + at);
      });
    });
  }
};

/// dx = inv_rms (g - x_hat mean(g x_hat)), with g = dy weight and x_hat = x inv_rms.
template <typename T, int kPack>
struct InputGradRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float products[kThreads];
  };

  const T *dy, *x;
  const float *weight, *inv_rms;
  T* dx;
  RowPlan plan;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      float product = 0;
      ForEachPack(block.index(), t, [&](const float* g, const float* x_hat, float, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) product += g[i] * x_hat[i];
      });
      shared.products[t] = product;
    });
    SumTeams(block, plan, shared.products);
    block.ForEachThread([&](int t) {
      const float slope = shared.products[plan.Leader(t)] / static_cast<float>(plan.size);
      ForEachPack(block.index(), t, [&](const float* g, const float* x_hat, float factor, int64_t at) {
        float out[kPack];
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) out[i] = factor * (g[i] - x_hat[i] * slope);
        StorePack<kPack>(out, dx + at);
      });
    });
  }

 private:
  /// Calls visit(g, x_hat, inv_rms, place in the matrix) for a thread's packs; none behind the last row.
  template <typename Visit>
  LOCKSTEP_HD void ForEachPack(int64_t block, int t, Visit&& visit) const {
    const int64_t row = plan.Row(block, t);
    if (row >= plan.rows) return;
    const float factor = inv_rms[row];
    plan.ForEachPack<kPack>(t, [&](int64_t at) {
      float g[kPack], x_hat[kPack], w[kPack];
      LoadPack<kPack>(dy + row * plan.size + at, g);
      LoadPack<kPack>(x + row * plan.size + at, x_hat);
      LoadPack<kPack>(weight + at, w);
      LOCKSTEP_UNROLL
      for (int i = 0; i < kPack; ++i) {
        g[i] *= w[i];
        x_hat[i] *= factor;
      }
      visit(g, x_hat, factor, row * plan.size + at);
    });
  }
};

/// dweight = the sum of dy x_hat over the rows.
template <typename T>
struct WeightGrad {
  static constexpr int kValues = 1;

  const T *dy, *x;
  const float* inv_rms;
  int64_t size;
  float* dweight;

  template <int kPack>
  struct Reader {
    const T *dy, *x;
    const float* inv_rms;
    int64_t size;

    template <int kRows>
    LOCKSTEP_HD void Add(int64_t row, int step, float /*seen*/, float (&values)[1][kPack]) const {
      float g[kRows][kPack], v[kRows][kPack], factor[kRows];
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const int64_t at = row + int64_t{r} * step;
        LoadPack<kPack>(dy + at * size, g[r]);
        LoadPack<kPack>(x + at * size, v[r]);
        factor[r] = inv_rms[at];
      }
      LOCKSTEP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) values[0][i] += g[r][i] * (v[r][i] * factor[r]);
      }
    }
  };
  template <int kPack>
  LOCKSTEP_HD Reader<kPack> At(int64_t column) const {
    return {dy + column, x + column, inv_rms, size};
  }
  template <typename S>
  static LOCKSTEP_HD void Combine(S* values, const S* others, S, S) {
    AddValues<1>(values, others);
  }
  LOCKSTEP_HD void Finish(int64_t column, const double* values) const {
    dweight[column] = static_cast<float>(values[0]);
  }
};

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({size}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const NormaliseRows<T, kPack> kernel{.x = context.Input<T>(0),
                                           .weight = context.Input(1),
                                           .y = context.Output<T>(0),
                                           .inv_rms = context.Output(1),
                                           .plan = PlanRows(rows, size, kPack),
                                           .epsilon = context.Attributes<graph::NormAttributes>().epsilon};
      return MakeKernel([kernel, stream = &context.stream] { Launch(*stream, kernel.plan.blocks(), kernel); });
    });
  });
}

size_t GradWorkspace(const OpContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({size}, [&](auto pack) { return ColumnReductionBytes(rows, size, pack, 1); });
  });
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), size = context.InputShape(0).dim(-1);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({size}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const T *dy = context.Input<T>(0), *x = context.Input<T>(1);
      const float* inv_rms = context.Input(3);
      const WeightGrad<T> weight{dy, x, inv_rms, size, context.Output(1)};
      const InputGradRows<T, kPack> input{
          dy, x, context.Input(2), inv_rms, context.Output<T>(0), PlanRows(rows, size, kPack)};
      auto* partial = reinterpret_cast<float*>(context.operands.workspace);
      return MakeKernel([=, stream = &context.stream] {
        if (weight.dweight != nullptr) LaunchColumnReduction<kPack>(*stream, rows, size, weight, partial);
        if (input.dx != nullptr) Launch(*stream, input.plan.blocks(), input);
      });
    });
  });
}

}  // namespace

KernelRow RmsNormRow(OpKind kind) {
  switch (kind) {
    case OpKind::kRmsNorm:
      return {.prepare = PrepareForward};
    case OpKind::kRmsNormGrad:
      return {.prepare = PrepareGrad, .workspace_bytes = GradWorkspace};
    default:
      return {};
  }
}

}  // namespace lockstep::cuda
