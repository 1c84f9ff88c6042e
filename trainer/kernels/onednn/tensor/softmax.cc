// Softmax and its logarithm, row by row. Sums go in 16 interleaved parts, the same on every instruction set.
#include <algorithm>
#include <limits>

#include "base/isa_clones.h"
#include "trainer/kernels/math.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;

constexpr int64_t kLeastElements = 4096;

struct Softmax {
  const float* x;
  float* y;
  int64_t columns;
  bool log;
};

LOCKSTEP_HD float Largest(const float* row, int64_t n) {
  float lanes[16];
  for (int j = 0; j < 16; ++j) lanes[j] = row[0];
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (int j = 0; j < 16; ++j) lanes[j] = row[i + j] > lanes[j] ? row[i + j] : lanes[j];
  }
  float largest = lanes[0];
  for (int j = 1; j < 16; ++j) largest = lanes[j] > largest ? lanes[j] : largest;
  for (; i < n; ++i) largest = row[i] > largest ? row[i] : largest;
  return largest;
}

/// y = e^(x - largest), or not stored where the logarithm is wanted; result: the sum.
LOCKSTEP_HD float Exponentials(const Softmax& s, const float* x, float* y, float largest) {
  float lanes[16] = {};
  int64_t i = 0;
  for (; i + 16 <= s.columns; i += 16) {
    float e[16];
    for (int j = 0; j < 16; ++j) e[j] = kernels::Exp(x[i + j] - largest);
    for (int j = 0; j < 16; ++j) lanes[j] += e[j];
    if (!s.log) __builtin_memcpy(y + i, e, sizeof e);
  }
  if (i < s.columns) {
    // The rest as if the row were longer: exponentials cost as much one by one.
    float rest[16], e[16];
    for (int j = 0; j < 16; ++j) rest[j] = i + j < s.columns ? x[i + j] : -std::numeric_limits<float>::infinity();
    for (int j = 0; j < 16; ++j) e[j] = kernels::Exp(rest[j] - largest);
    for (int j = 0; j < 16; ++j) lanes[j] += e[j];
    for (int j = 0; !s.log && i + j < s.columns; ++j) y[i + j] = e[j];
  }
  float sum = 0;
  for (int j = 0; j < 8; ++j) sum += lanes[j] + lanes[j + 8];
  return sum;
}

LOCKSTEP_ISA_CLONES
void SoftmaxRows(const Softmax& softmax, int64_t begin, int64_t end) {
  const Softmax s = softmax;
  for (int64_t row = begin; row < end; ++row) {
    const float* x = s.x + row * s.columns;
    float* y = s.y + row * s.columns;
    const float largest = Largest(x, s.columns), sum = Exponentials(s, x, y, largest);
    if (s.log) {
      const auto log_sum = static_cast<float>(kernels::Log(static_cast<double>(sum)));
      for (int64_t i = 0; i < s.columns; ++i) y[i] = (x[i] - largest) - log_sum;
    } else {
      const float factor = 1.0f / sum;
      for (int64_t i = 0; i < s.columns; ++i) y[i] *= factor;
    }
  }
}

struct SoftmaxGrad {
  const float *dy, *y;
  float* dx;
  int64_t columns;
  bool log;
};

LOCKSTEP_ISA_CLONES
void SoftmaxGradRows(const SoftmaxGrad& grad, int64_t begin, int64_t end) {
  const SoftmaxGrad g = grad;
  for (int64_t row = begin; row < end; ++row) {
    const float *dy = g.dy + row * g.columns, *y = g.y + row * g.columns;
    float* dx = g.dx + row * g.columns;
    if (g.log) {
      const float sum = SumRow(g.columns, [&]<typename V>(int64_t i, V) LOCKSTEP_INLINE { return Load<V>(dy + i); });
      for (int64_t i = 0; i < g.columns; ++i) dx[i] = dy[i] - kernels::Exp(y[i]) * sum;
    } else {
      const float sum =
          SumRow(g.columns, [&]<typename V>(int64_t i, V) LOCKSTEP_INLINE { return Load<V>(dy + i) * Load<V>(y + i); });
      for (int64_t i = 0; i < g.columns; ++i) dx[i] = y[i] * (dy[i] - sum);
    }
  }
}

std::unique_ptr<Kernel> PrepareSoftmax(const KernelContext& context) {
  const Shape& x = context.InputShape(0);
  const Softmax softmax{context.Input(0), context.Output(0), x.dim(-1),
                        context.Attributes<graph::SoftmaxAttributes>().log};
  return MakeKernel([softmax, rows = Rows(x), threads = context.threads] {
    ForEachPiece(threads, rows, std::max<int64_t>(1, kLeastElements / softmax.columns),
                 [&](int, int64_t begin, int64_t end) { SoftmaxRows(softmax, begin, end); });
  });
}

std::unique_ptr<Kernel> PrepareSoftmaxGrad(const KernelContext& context) {
  const Shape& y = context.InputShape(1);
  const SoftmaxGrad grad{context.Input(0), context.Input(1), context.Output(0), y.dim(-1),
                         context.Attributes<graph::SoftmaxAttributes>().log};
  return MakeKernel([grad, rows = Rows(y), threads = context.threads] {
    ForEachPiece(threads, rows, std::max<int64_t>(1, kLeastElements / grad.columns),
                 [&](int, int64_t begin, int64_t end) { SoftmaxGradRows(grad, begin, end); });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kSoftmax, .prepare = PrepareSoftmax},
    {.kind = OpKind::kSoftmaxGrad, .prepare = PrepareSoftmaxGrad},
};

}  // namespace

std::span<const KernelRow> SoftmaxRows() { return kRows; }

}  // namespace lockstep::onednn
