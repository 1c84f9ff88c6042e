// The gradient of batch normalisation by running statistics, which go on as they are: a factor for each channel.
#include <cmath>

#include "base/isa_clones.h"
#include "trainer/kernels/onednn/kernel_context.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;

constexpr int64_t kLeastRows = 256;

LOCKSTEP_ISA_CLONES
void ScaleRows(const float* dy, const float* scale, float* dx, int64_t rows, int64_t channels) {
  for (int64_t r = 0; r < rows; ++r) {
#pragma GCC ivdep
    for (int64_t k = 0; k < channels; ++k) dx[r * channels + k] = dy[r * channels + k] * scale[k];
  }
}

size_t WorkspaceBytes(const OpContext& context) {
  return static_cast<size_t>(context.InputShape(0).dim(-1)) * sizeof(float);
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), channels = context.InputShape(0).dim(-1);
  const auto epsilon = static_cast<double>(context.Attributes<graph::NormAttributes>().epsilon);
  return MakeKernel([=, dy = context.Input(0), weight = context.Input(1), variance = context.Input(2),
                     dx = context.Output(0), scale = reinterpret_cast<float*>(context.operands.workspace),
                     threads = context.threads] {
    for (int64_t k = 0; k < channels; ++k) {
      scale[k] =
          static_cast<float>(static_cast<double>(weight[k]) / std::sqrt(static_cast<double>(variance[k]) + epsilon));
    }
    ForEachPiece(threads, rows, kLeastRows, [&](int, int64_t begin, int64_t end) {
      ScaleRows(dy + begin * channels, scale, dx + begin * channels, end - begin, channels);
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kBatchNormInferGrad, .prepare = PrepareGrad, .workspace_bytes = WorkspaceBytes},
};

}  // namespace

std::span<const KernelRow> FrozenNormRows() { return kRows; }

}  // namespace lockstep::onednn
