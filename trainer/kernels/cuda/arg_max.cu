// The place of the first largest of each row, a team of threads per row.
#include "trainer/kernels/cuda/blocks/row_teams.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {
namespace {

using engine::Kernel;
using graph::OpKind;

template <typename T, int kPack>
struct FirstLargest {
  static constexpr int kThreads = kRowThreads;
  struct Shared {
    PlacedValue best[kThreads];
  };

  const T* x;
  int32_t* y;
  RowPlan plan;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    FirstLargestOfRows<kPack>(block, plan, x, shared.best);
    block.ForEachThread([&](int t) {
      const int64_t row = plan.Row(block.index(), t);
      if (!plan.Leads(t) || row >= plan.rows) return;
      // As a search from the left finds it: nothing is above a first element that is not a number.
      const float first = ToFloat(x[row * plan.size]);
      y[row] = first != first ? 0 : static_cast<int32_t>(shared.best[t].place);
    });
  }
};

std::unique_ptr<Kernel> PrepareArgMax(const KernelContext& context) {
  const Shape& x = context.InputShape(0);
  return WithElementType(context.InputType(0), [&]<typename T>(T) {
    return WithPack<T>({x.dim(-1)}, [&]<int kPack>(std::integral_constant<int, kPack>) {
      const FirstLargest<T, kPack> kernel{context.Input<T>(0), context.Output<int32_t>(0),
                                          PlanRows(Rows(x), x.dim(-1), kPack)};
      return MakeKernel([kernel, stream = &context.stream] { Launch(*stream, kernel.plan.blocks(), kernel); });
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kArgMax, .prepare = PrepareArgMax},
};

}  // namespace

std::span<const KernelRow> ArgMaxRows() { return kRows; }

}  // namespace lockstep::cuda
