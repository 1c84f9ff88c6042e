// Softmax and its logarithm, a team of threads per row, which reads its row three times: for the largest, for the sum
// of exponentials, and to write.
#include "trainer/kernels/cuda/blocks/row_teams.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/kernels/math.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

template <typename T, int kPack>
struct SoftmaxOfRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float largest[kThreads], sum[kThreads];
  };

  const T* x;
  T* y;
  RowPlan plan;
  bool log;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    LargestOfRows<kPack>(block, plan, x, shared.largest);
    block.ForEachThread([&](int t) {
      const float largest = shared.largest[plan.Leader(t)];
      float sum = 0;
      plan.template ForEachPackOf<kPack>(x, block.index(), t, [&](const float* v, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) sum += kernels::Exp(v[i] - largest);
      });
      shared.sum[t] = sum;
    });
    SumTeams(block, plan, shared.sum);
    block.ForEachThread([&](int t) {
      if (!plan.Leads(t)) return;
      const float sum = shared.sum[t];
      shared.sum[t] = log ? static_cast<float>(kernels::Log(static_cast<double>(sum))) : 1.0f / sum;
    });
    block.ForEachThread([&](int t) {
      const float largest = shared.largest[plan.Leader(t)], of_sum = shared.sum[plan.Leader(t)];
      const int64_t row = plan.Row(block.index(), t);
      plan.template ForEachPackOf<kPack>(x, block.index(), t, [&](float* v, int64_t at) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) {
          v[i] = log ? (v[i] - largest) - of_sum : kernels::Exp(v[i] - largest) * of_sum;
        }
        StorePack<kPack>(v, y + row * plan.size + at);
      });
    });
  }
};

template <typename T, int kPack>
struct SoftmaxGradOfRows {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    float sum[kThreads];
  };

  const T *dy, *y;
  T* dx;
  RowPlan plan;
  bool log;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) {
      float sum = 0;
      ForEachPair(block.index(), t, [&](const float* d, const float* p, int64_t) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) sum += log ? d[i] : d[i] * p[i];
      });
      shared.sum[t] = sum;
    });
    SumTeams(block, plan, shared.sum);
    block.ForEachThread([&](int t) {
      const float sum = shared.sum[plan.Leader(t)];
      ForEachPair(block.index(), t, [&](float* d, const float* p, int64_t at) {
        LOCKSTEP_UNROLL
        for (int i = 0; i < kPack; ++i) d[i] = log ? d[i] - kernels::Exp(p[i]) * sum : p[i] * (d[i] - sum);
        StorePack<kPack>(d, dx + at);
      });
    });
  }

  /// Calls visit(packs of dy and y, their place) for this thread's packs of its row.
  template <typename Visit>
  LOCKSTEP_HD void ForEachPair(int64_t block, int thread, Visit&& visit) const {
    const int64_t first = plan.Row(block, thread) * plan.size;
    plan.template ForEachPackOf<kPack>(dy, block, thread, [&](float* d, int64_t at) {
      float p[kPack];
      LoadPack<kPack>(y + first + at, p);
      visit(d, p, first + at);
    });
  }
};

std::unique_ptr<Kernel> PrepareSoftmax(const KernelContext& context) {
  const Shape& x = context.InputShape(0);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({x.dim(-1)}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const SoftmaxOfRows<T, kPack> kernel{context.Input<T>(0), context.Output<T>(0),
                                           PlanRows(Rows(x), x.dim(-1), kPack),
                                           context.Attributes<graph::SoftmaxAttributes>().log};
      return MakeKernel([kernel, stream = &context.stream] { Launch(*stream, kernel.plan.blocks(), kernel); });
    });
  });
}

std::unique_ptr<Kernel> PrepareSoftmaxGrad(const KernelContext& context) {
  const Shape& y = context.InputShape(1);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({y.dim(-1)}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const SoftmaxGradOfRows<T, kPack> kernel{context.Input<T>(0), context.Input<T>(1), context.Output<T>(0),
                                               PlanRows(Rows(y), y.dim(-1), kPack),
                                               context.Attributes<graph::SoftmaxAttributes>().log};
      return MakeKernel([kernel, stream = &context.stream] { Launch(*stream, kernel.plan.blocks(), kernel); });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kSoftmax, .prepare = PrepareSoftmax},
    {.kind = OpKind::kSoftmaxGrad, .prepare = PrepareSoftmaxGrad},
};

}  // namespace

std::span<const KernelRow> SoftmaxRows() { return kRows; }

}  // namespace lockstep::cuda
