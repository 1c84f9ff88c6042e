// Padding and lookup by a constant index: rows that are copied, filled or added.
#include <algorithm>
#include <cstring>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/padding.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::PadPlan;

constexpr int64_t kLeastElements = 16384;

void PadRow(const PadPlan& plan, const float* x, float* y, int64_t row) {
  float* to = y + row * plan.y_row;
  const int64_t source = plan.RowOfX(row);
  const int64_t begin = std::clamp<int64_t>(plan.row_before, 0, plan.y_row);
  const int64_t end = std::clamp<int64_t>(plan.row_before + plan.x_row, begin, plan.y_row);
  if (source < 0) {
    std::fill(to, to + plan.y_row, plan.value);
    return;
  }
  std::fill(to, to + begin, plan.value);
  const float* from = x + source * plan.x_row - plan.row_before;
  std::copy(from + begin, from + end, to + begin);
  std::fill(to + end, to + plan.y_row, plan.value);
}

std::unique_ptr<Kernel> PreparePad(const KernelContext& context) {
  const PadPlan plan(context.InputShape(0), context.OutputShape(0), context.Attributes<graph::PadAttributes>());
  return MakeKernel([plan, x = context.Input(0), y = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, plan.rows, std::max<int64_t>(1, kLeastElements / plan.y_row),
                 [&](int, int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) PadRow(plan, x, y, row);
                 });
  });
}

/// x [outer, k, inner].
struct GatherPlan {
  int64_t outer = 1, k, inner = 1, n;
  std::shared_ptr<const std::vector<int32_t>> index;

  GatherPlan(const Shape& x, const graph::GatherAttributes& gather)
      : k(x.dim(gather.axis)), n(static_cast<int64_t>(gather.index->size())), index(gather.index) {
    for (int d = 0; d < gather.axis; ++d) outer *= x.dim(d);
    for (int d = gather.axis + 1; d < x.rank(); ++d) inner *= x.dim(d);
  }
  int64_t least() const { return std::max<int64_t>(1, kLeastElements / (n * inner)); }
};

std::unique_ptr<Kernel> PrepareGather(const KernelContext& context) {
  const GatherPlan plan(context.InputShape(0), context.Attributes<graph::GatherAttributes>());
  const auto bytes = static_cast<size_t>(plan.inner * SizeOf(context.InputType(0)));
  return MakeKernel(
      [plan, bytes, x = context.Input<std::byte>(0), y = context.Output<std::byte>(0), threads = context.threads] {
        ForEachPiece(threads, plan.outer, plan.least(), [&](int, int64_t begin, int64_t end) {
          std::byte* to = y + static_cast<size_t>(begin * plan.n) * bytes;
          for (int64_t o = begin; o < end; ++o) {
            const std::byte* from = x + static_cast<size_t>(o * plan.k) * bytes;
            for (const int32_t i : *plan.index) {
              if (bytes == sizeof(float)) {
                std::memcpy(to, from + static_cast<size_t>(i) * bytes, sizeof(float));
              } else {
                std::memcpy(to, from + static_cast<size_t>(i) * bytes, bytes);
              }
              to += bytes;
            }
          }
        });
      });
}

LOCKSTEP_ISA_CLONES
void AddRows(const int32_t* index, int64_t n, int64_t inner, const float* dy, float* dx) {
  for (int64_t i = 0; i < n; ++i) {
    float* to = dx + index[i] * inner;
    const float* from = dy + i * inner;
#pragma GCC ivdep
    for (int64_t j = 0; j < inner; ++j) to[j] += from[j];
  }
}

std::unique_ptr<Kernel> PrepareGatherGrad(const KernelContext& context) {
  const GatherPlan plan(context.OutputShape(0), context.Attributes<graph::GatherAttributes>());
  return MakeKernel([plan, dy = context.Input(0), dx = context.Output(0), threads = context.threads] {
    ForEachPiece(threads, plan.outer, plan.least(), [&](int, int64_t begin, int64_t end) {
      std::fill(dx + begin * plan.k * plan.inner, dx + end * plan.k * plan.inner, 0.0f);
      for (int64_t o = begin; o < end; ++o) {
        AddRows(plan.index->data(), plan.n, plan.inner, dy + o * plan.n * plan.inner, dx + o * plan.k * plan.inner);
      }
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kPad, .prepare = PreparePad},
    {.kind = OpKind::kGather, .prepare = PrepareGather},
    {.kind = OpKind::kGatherGrad, .prepare = PrepareGatherGrad},
};

}  // namespace

std::span<const KernelRow> GatherRows() { return kRows; }

}  // namespace lockstep::onednn
