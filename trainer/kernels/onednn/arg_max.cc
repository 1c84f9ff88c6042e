// The place of the first largest of each row.
#include <algorithm>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;

/// As a search from the left finds it: not-a-number is above nothing, and nothing is above a first one.
LOCKSTEP_ISA_CLONES
void FirstLargest(const float* x, int32_t* y, int64_t begin, int64_t end, int64_t columns) {
  for (int64_t r = begin; r < end; ++r) {
    const float* row = x + r * columns;
    float lanes[16];
    for (int j = 0; j < 16; ++j) lanes[j] = row[0];
    int64_t i = 0;
    for (; i + 16 <= columns; i += 16) {
      for (int j = 0; j < 16; ++j) lanes[j] = row[i + j] > lanes[j] ? row[i + j] : lanes[j];
    }
    float largest = lanes[0];
    for (int j = 1; j < 16; ++j) largest = lanes[j] > largest ? lanes[j] : largest;
    for (; i < columns; ++i) largest = row[i] > largest ? row[i] : largest;
    int64_t place = 0;
    if (largest == largest) {
      while (row[place] != largest) ++place;
    }
    y[r] = static_cast<int32_t>(place);
  }
}

std::unique_ptr<Kernel> PrepareArgMax(const KernelContext& context) {
  const Shape& x = context.InputShape(0);
  return MakeKernel([from = context.Input(0), y = context.Output<int32_t>(0), rows = Rows(x), columns = x.dim(-1),
                     threads = context.threads] {
    const int64_t least = std::max<int64_t>(1, 4096 / columns);
    ForEachPiece(threads, rows, least,
                 [&](int, int64_t begin, int64_t end) { FirstLargest(from, y, begin, end, columns); });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kArgMax, .prepare = PrepareArgMax},
};

}  // namespace

std::span<const KernelRow> ArgMaxRows() { return kRows; }

}  // namespace lockstep::onednn
