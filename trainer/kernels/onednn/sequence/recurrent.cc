// LSTM and GRU, and their gradients. Rows are shared out over the team; the weight's gradient is one product over all
// time steps, behind them.
#include "trainer/kernels/onednn/sequence/recurrent.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "trainer/engine/workspace_parts.h"
#include "trainer/kernels/onednn/column_sums.h"
#include "trainer/kernels/onednn/primitives.h"
#include "trainer/kernels/onednn/product.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using engine::WorkspaceParts;
using graph::OpKind;

/// For the instruction set that the run is pinned to.
RecurrentKernels KernelsOfIsa() {
#ifdef LOCKSTEP_FUSED_X86
  if (HasAvx512()) return kRecurrentAvx512;
  if (HasAvx2()) return kRecurrentAvx2;
#endif
  return kRecurrentGeneric;
}

/// Below, packing the weight costs more than it gains: decoding has one time step at a time.
constexpr int64_t kLeastPackedTimeSteps = 4;
/// Rows that are worth a thread.
constexpr int64_t kLeastRows = 4;

RecurrentShape ShapeOf(const OpContext& context) {
  const bool gradient = context.op.kind == OpKind::kLstmGrad || context.op.kind == OpKind::kGruGrad;
  const bool lstm = context.op.kind == OpKind::kLstm || context.op.kind == OpKind::kLstmGrad;
  const Shape& sequence = context.InputShape(0);
  return {.rows = sequence.dim(0),
          .time_steps = sequence.dim(1),
          .hidden = context.InputShape(gradient ? 3 : 1).dim(1),
          .gates = lstm ? 4 : 3,
          .saved = lstm ? 5 : 4,
          .reverse = context.Attributes<graph::RecurrentAttributes>().reverse};
}

// Forward.

size_t PackedBytes(const OpContext& context, int input, int /*runs*/) {
  const RecurrentShape s = ShapeOf(context);
  if (input != 1 || s.time_steps < kLeastPackedTimeSteps) return 0;
  return static_cast<size_t>(s.panels() * s.hidden * s.gates * kPanel) * sizeof(float);
}

/// [gates, hidden, hidden] -> [panels, hidden, gates, 16].
std::unique_ptr<Kernel> PreparePack(const OpContext& context, int, const void* plain, void* packed) {
  return MakeKernel([s = ShapeOf(context), weight = static_cast<const float*>(plain), to = static_cast<float*>(packed),
                     threads = context.threads] {
    ForEachPiece(threads, s.panels(), 1, [&](int, int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) {
        for (int64_t g = 0; g < s.gates; ++g) {
          for (int64_t u = 0; u < kPanel; ++u) {
            const int64_t unit = panel * kPanel + u;
            const float* from = weight + (g * s.hidden + unit) * s.hidden;
            float* column = to + (panel * s.hidden * s.gates + g) * kPanel + u;
            for (int64_t k = 0; k < s.hidden; ++k) column[k * s.gates * kPanel] = unit < s.hidden ? from[k] : 0.0f;
          }
        }
      }
    });
  });
}

size_t LayOutForward(RecurrentJob& job, std::byte* workspace) {
  const RecurrentShape& s = job.shape;
  WorkspaceParts parts(workspace);
  job.state = parts.Take<float>(s.rows * s.state_row());
  job.next = parts.Take<float>(s.rows * s.state_row());
  job.cells = parts.Take<float>(s.rows * s.state_row());
  job.active = parts.Take<int32_t>(s.rows);
  return parts.bytes();
}

size_t ForwardWorkspace(const OpContext& context) {
  RecurrentJob job{};
  job.shape = ShapeOf(context);
  return LayOutForward(job, nullptr);
}

std::unique_ptr<Kernel> PrepareForward(const KernelContext& context) {
  RecurrentJob job{};
  job.shape = ShapeOf(context);
  job.shape.length = context.Input<int32_t>(3);
  job.gates = context.Input(0), job.plain = context.Input(1), job.bias = context.Input(2);
  job.packed = static_cast<const float*>(context.Packed(1));
  job.hidden = context.Input(4), job.cell = context.Input(5);
  job.y = context.Output(0), job.saved = context.Output(1);
  job.last_hidden = context.Output(2), job.last_cell = context.Output(3);
  LayOutForward(job, context.operands.workspace);
  const RecurrentKernels kernels = KernelsOfIsa();
  const auto run = context.op.kind == OpKind::kLstm ? kernels.lstm : kernels.gru;
  return MakeKernel([job, run, threads = context.threads] {
    ForEachPiece(threads, job.shape.rows, kLeastRows, [&](int, int64_t begin, int64_t end) { run(job, begin, end); });
  });
}

// Gradients.

size_t GradPackedBytes(const OpContext& context, int input, int /*runs*/) {
  const RecurrentShape s = ShapeOf(context);
  if (input != 3) return 0;
  return static_cast<size_t>(s.panels() * kPanel * s.gates * s.hidden) * sizeof(float);
}

/// [gates hidden, hidden] -> groups of 64 columns [gates hidden, 64].
std::unique_ptr<Kernel> PrepareGradPack(const OpContext& context, int, const void* plain, void* packed) {
  return MakeKernel(
      [s = ShapeOf(context), weight = static_cast<const float*>(plain), to = static_cast<float*>(packed)] {
        for (int64_t panel = 0; panel < s.panels(); panel += kGroupPanels) {
          const int64_t first = panel * kPanel, columns = std::min(kGroupPanels, s.panels() - panel) * kPanel;
          const int64_t there = std::min(columns, s.hidden - first);
          float* group = to + first * s.gates * s.hidden;
          for (int64_t j = 0; j < s.gates * s.hidden; ++j, group += columns) {
            std::copy_n(weight + j * s.hidden + first, there, group);
            std::fill_n(group + there, columns - there, 0.0f);
          }
        }
      });
}

/// What stands before each time step: y of the time step before, the first state, or zeros.
struct Shift {
  RecurrentShape shape;
  const float *y, *hidden;
  float* to;

  void Run(int64_t begin, int64_t end) const {
    const RecurrentShape& s = shape;
    for (int64_t at = begin; at < end; ++at) {
      const int64_t row = at / s.time_steps, time_step = at % s.time_steps, before = s.Before(row, time_step);
      float* state = to + at * s.hidden;
      if (time_step < s.Length(row) && before >= 0) {
        std::copy_n(y + (row * s.time_steps + before) * s.hidden, s.hidden, state);
      } else if (time_step < s.Length(row) && hidden != nullptr) {
        std::copy_n(hidden + row * s.hidden, s.hidden, state);
      } else {
        std::fill_n(state, s.hidden, 0.0f);
      }
    }
  }
};

Product WeightProduct(const RecurrentShape& s) {
  return Product({.m = s.gates * s.hidden, .k = s.rows * s.time_steps, .n = s.hidden, .a_transposed = true});
}

/// Where a gradient's parts lie in its workspace.
struct GradWorkspace {
  float* before;  ///< [rows, time steps, hidden]
  double* totals;
  std::byte* scratchpad;
  size_t bytes;

  GradWorkspace(const OpContext& context, RecurrentGradJob& job, std::byte* workspace) {
    const RecurrentShape& s = job.shape;
    WorkspaceParts parts(workspace);
    job.dstate = parts.Take<float>(s.rows * s.state_row());
    job.dcells = parts.Take<float>(s.rows * s.state_row());
    job.products = parts.Take<float>(s.rows * s.product_row());
    job.active = parts.Take<int32_t>(s.rows);
    job.dproducts = parts.Take<float>(s.gates == 3 ? s.rows * s.time_steps * s.gates * s.hidden : 0);
    before = parts.Take<float>(context.HasOutput(1) ? s.rows * s.time_steps * s.hidden : 0);
    totals = parts.Take<double>(context.HasOutput(2) ? s.gates * s.hidden : 0);
    const size_t product = context.HasOutput(1) ? WeightProduct(s).ScratchpadBytes() : 0;
    scratchpad = parts.Take<std::byte>(static_cast<int64_t>(product));
    bytes = parts.bytes();
  }
};

size_t GradWorkspaceBytes(const OpContext& context) {
  RecurrentGradJob job{};
  job.shape = ShapeOf(context);
  return GradWorkspace(context, job, nullptr).bytes;
}

std::unique_ptr<Kernel> PrepareGrad(const KernelContext& context) {
  RecurrentGradJob job{};
  job.shape = ShapeOf(context);
  job.shape.length = context.Input<int32_t>(4);
  job.dy = context.Input(0), job.y = context.Input(1), job.saved = context.Input(2);
  job.packed = static_cast<const float*>(context.Packed(3));
  CHECK(job.packed != nullptr, "{}: the weight is not packed", context.op.name);
  job.hidden = context.Input(5), job.cell = context.Input(6);
  job.dgates = context.Output(0);
  const GradWorkspace workspace(context, job, context.operands.workspace);
  const float* products = job.shape.gates == 3 ? job.dproducts : job.dgates;
  const Shift shift{job.shape, job.y, job.hidden, workspace.before};
  std::optional<PreparedPrimitive> weight;
  if (context.Output(1) != nullptr) {
    weight = WeightProduct(job.shape).Prepare(products, shift.to, nullptr, context.Output(1), workspace.scratchpad);
  }
  const RecurrentKernels kernels = KernelsOfIsa();
  const auto run = context.op.kind == OpKind::kLstmGrad ? kernels.lstm_grad : kernels.gru_grad;
  return MakeKernel([=, dbias = context.Output(2), totals = workspace.totals, threads = context.threads]() mutable {
    const RecurrentShape& s = job.shape;
    ForEachPiece(threads, s.rows, kLeastRows, [&](int, int64_t begin, int64_t end) { run(job, begin, end); });
    if (weight) {
      ForEachPiece(threads, s.rows * s.time_steps, 64, [&](int, int64_t begin, int64_t end) { shift.Run(begin, end); });
      weight->Run();
    }
    if (dbias != nullptr) ColumnSums(products, s.rows * s.time_steps, s.gates * s.hidden, totals, dbias);
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kLstm,
     .prepare = PrepareForward,
     .workspace_bytes = ForwardWorkspace,
     .packed_bytes = PackedBytes,
     .prepare_pack = PreparePack,
     .packed_layout = kForwardLayout},
    {.kind = OpKind::kGru,
     .prepare = PrepareForward,
     .workspace_bytes = ForwardWorkspace,
     .packed_bytes = PackedBytes,
     .prepare_pack = PreparePack,
     .packed_layout = kForwardLayout},
    {.kind = OpKind::kLstmGrad,
     .prepare = PrepareGrad,
     .workspace_bytes = GradWorkspaceBytes,
     .packed_bytes = GradPackedBytes,
     .prepare_pack = PrepareGradPack,
     .packed_layout = kInputGradLayout},
    {.kind = OpKind::kGruGrad,
     .prepare = PrepareGrad,
     .workspace_bytes = GradWorkspaceBytes,
     .packed_bytes = GradPackedBytes,
     .prepare_pack = PrepareGradPack,
     .packed_layout = kInputGradLayout},
};

}  // namespace

std::span<const KernelRow> RecurrentRows() { return kRows; }

}  // namespace lockstep::onednn
