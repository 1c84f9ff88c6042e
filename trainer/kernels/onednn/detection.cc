// Losses of object detection. Each row of the batch (all that has one index n) is summed by itself in double, in a
// fixed order, and rows are added in their order: the bits don't depend on how many threads there are.
#include "trainer/kernels/detection.h"

#include <algorithm>

#include "base/isa_clones.h"
#include "trainer/graph/step_block.h"
#include "trainer/kernels/onednn/kernel_context.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;

/// Elements whose targets and terms are worked out together: they stay in the first-level cache.
constexpr int64_t kStretch = 512;

/// Elements that are worth a thread.
constexpr int64_t kLeastPiece = 4096;

/// A batch of rows, whose sums go through the workspace.
size_t RowSumsBytes(const OpContext& context) {
  return static_cast<size_t>(context.InputShape(0).dim(0)) * sizeof(double);
}

/// sum = run(row) of all rows, added in their order.
template <typename F>
void SumRows(int threads, int64_t rows, double* row_sums, double* sum, F&& run) {
  ForEachPiece(threads, rows, 1, [&](int, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_sums[r] = run(r);
  });
  double total = 0;
  for (int64_t r = 0; r < rows; ++r) total += row_sums[r];
  *sum = total;
}

/// Four interleaved partial sums; the last n mod 4 follow one by one.
LOCKSTEP_ISA_CLONES
double SumOf(const float* terms, int64_t n) {
  double sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (int j = 0; j < 4; ++j) sums[j] += static_cast<double>(terms[i + j]);
  }
  double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (; i < n; ++i) sum += static_cast<double>(terms[i]);
  return sum;
}

LOCKSTEP_ISA_CLONES
void FocalTerms(const kernels::FocalLoss& loss, const float* logits, const float* targets, float* terms, int64_t n) {
  const kernels::FocalLoss l = loss;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) terms[i] = l.Term(logits[i], targets[i]);
}

LOCKSTEP_ISA_CLONES
void FocalGradients(const kernels::FocalLoss& loss, const float* logits, const float* targets, float* gradients,
                    int64_t n, float scale) {
  const kernels::FocalLoss l = loss;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) gradients[i] = l.Gradient(logits[i], targets[i], scale);
}

/// What elements [n, .., classes] are trained towards: numbers, or the label of each cell.
struct FocalTargets {
  const float* targets;   ///< absent: nullptr
  const int32_t* labels;  ///< absent: nullptr
  int64_t classes;

  explicit FocalTargets(const KernelContext& context)
      : targets(context.InputType(1) == DType::kI32 ? nullptr : context.Input(1)),
        labels(context.InputType(1) == DType::kI32 ? context.Input<int32_t>(1) : nullptr),
        classes(context.InputShape(0).dim(-1)) {}

  /// Those of elements [begin, end), at most kStretch, which are written to `buffer` where there are labels alone.
  const float* Of(int64_t begin, int64_t end, float* buffer) const {
    if (targets != nullptr) return targets + begin;
    std::fill(buffer, buffer + (end - begin), 0.0f);
    for (int64_t cell = begin / classes; cell * classes < end; ++cell) {
      CHECK(labels[cell] < classes, "label {} of {} classes", labels[cell], classes);
      const int64_t at = cell * classes + labels[cell];
      if (labels[cell] >= 0 && at >= begin && at < end) buffer[at - begin] = 1.0f;
    }
    return buffer;
  }
};

/// Calls run(begin, end) for stretches of elements [begin, end).
template <typename F>
void ForEachStretch(int64_t begin, int64_t end, F&& run) {
  for (int64_t first = begin; first < end; first += kStretch) run(first, std::min(first + kStretch, end));
}

std::unique_ptr<Kernel> PrepareFocalLoss(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), row_size = context.InputShape(0).size() / rows;
  return MakeKernel([=, loss = kernels::FocalLoss(context.Attributes<graph::FocalAttributes>()),
                     logits = context.Input(0), targets = FocalTargets(context), mask = context.Input(2),
                     row_sums = reinterpret_cast<double*>(context.operands.workspace), sum = context.Output<double>(0),
                     threads = context.threads] {
    SumRows(threads, rows, row_sums, sum, [&](int64_t r) {
      double total = 0;
      if (mask[r] == 0.0f) return total;
      ForEachStretch(r * row_size, (r + 1) * row_size, [&](int64_t begin, int64_t end) {
        float buffer[kStretch], terms[kStretch];
        FocalTerms(loss, logits + begin, targets.Of(begin, end, buffer), terms, end - begin);
        total += SumOf(terms, end - begin);
      });
      return static_cast<double>(mask[r]) * total;
    });
  });
}

std::unique_ptr<Kernel> PrepareFocalLossGrad(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), row_size = context.InputShape(0).size() / rows;
  const auto& attributes = context.Attributes<graph::FocalAttributes>();
  return MakeKernel([=, loss = kernels::FocalLoss(attributes), index = attributes.loss, logits = context.Input(0),
                     targets = FocalTargets(context), mask = context.Input(2),
                     step_block = context.Input<graph::StepBlock>(3), dlogits = context.Output(0),
                     threads = context.threads] {
    ForEachPiece(threads, rows, 1, [&](int, int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        const float scale = mask[r] * step_block->loss_scale[index];
        if (mask[r] == 0.0f) {
          std::fill(dlogits + r * row_size, dlogits + (r + 1) * row_size, 0.0f);
          continue;
        }
        ForEachStretch(r * row_size, (r + 1) * row_size, [&](int64_t begin, int64_t end) {
          float buffer[kStretch];
          FocalGradients(loss, logits + begin, targets.Of(begin, end, buffer), dlogits + begin, end - begin, scale);
        });
      }
    });
  });
}

LOCKSTEP_ISA_CLONES
void CrossEntropyTerms(const float* logits, const float* targets, const float* weights, float* terms, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float term = weights[i] * kernels::SigmoidCrossEntropy(logits[i], targets[i]);
    terms[i] = weights[i] == 0.0f ? 0.0f : term;
  }
}

LOCKSTEP_ISA_CLONES
void CrossEntropyGradients(const float* logits, const float* targets, const float* weights, float* gradients, int64_t n,
                           float scale) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float gradient = kernels::SigmoidCrossEntropyGradient(logits[i], targets[i], scale * weights[i]);
    gradients[i] = weights[i] == 0.0f ? 0.0f : gradient;
  }
}

std::unique_ptr<Kernel> PrepareCrossEntropy(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), row_size = context.InputShape(0).size() / rows;
  return MakeKernel([=, logits = context.Input(0), targets = context.Input(1), weights = context.Input(2),
                     row_sums = reinterpret_cast<double*>(context.operands.workspace), sum = context.Output<double>(0),
                     threads = context.threads] {
    SumRows(threads, rows, row_sums, sum, [&](int64_t r) {
      double total = 0;
      ForEachStretch(r * row_size, (r + 1) * row_size, [&](int64_t begin, int64_t end) {
        float terms[kStretch];
        CrossEntropyTerms(logits + begin, targets + begin, weights + begin, terms, end - begin);
        total += SumOf(terms, end - begin);
      });
      return total;
    });
  });
}

std::unique_ptr<Kernel> PrepareCrossEntropyGrad(const KernelContext& context) {
  return MakeKernel([=, loss = context.Attributes<graph::LossAttributes>().loss, logits = context.Input(0),
                     targets = context.Input(1), weights = context.Input(2),
                     step_block = context.Input<graph::StepBlock>(3), dlogits = context.Output(0),
                     size = context.InputShape(0).size(), threads = context.threads] {
    ForEachPiece(threads, size, kLeastPiece, [&](int, int64_t begin, int64_t end) {
      CrossEntropyGradients(logits + begin, targets + begin, weights + begin, dlogits + begin, end - begin,
                            step_block->loss_scale[loss]);
    });
  });
}

/// Cells [n, .., 4] as a box loss reads them. Few have a weight.
struct BoxCells {
  const float *sides, *targets, *weights;
  bool exponential;

  explicit BoxCells(const KernelContext& context)
      : sides(context.Input(0)),
        targets(context.Input(1)),
        weights(context.Input(2)),
        exponential(context.Attributes<graph::BoxLossAttributes>().exponential) {}
  LOCKSTEP_HD kernels::BoxPair At(int64_t cell) const {
    return kernels::BoxPair(sides + 4 * cell, targets + 4 * cell, exponential);
  }
};

LOCKSTEP_ISA_CLONES
double BoxLossOf(const BoxCells& cells, int64_t begin, int64_t end) {
  double total = 0;
  for (int64_t cell = begin; cell < end; ++cell) {
    if (cells.weights[cell] == 0.0f) continue;
    total += static_cast<double>(cells.weights[cell]) * static_cast<double>(cells.At(cell).Loss());
  }
  return total;
}

LOCKSTEP_ISA_CLONES
void BoxGradientsOf(const BoxCells& cells, int64_t begin, int64_t end, float* dsides, float scale) {
  for (int64_t cell = begin; cell < end; ++cell) {
    float* gradient = dsides + 4 * cell;
    if (cells.weights[cell] == 0.0f) {
      for (int k = 0; k < 4; ++k) gradient[k] = 0.0f;
      continue;
    }
    const kernels::BoxPair boxes = cells.At(cell);
    const float cell_scale = scale * cells.weights[cell];
    for (int k = 0; k < 4; ++k) {
      gradient[k] = boxes.Gradient(cells.sides + 4 * cell, k, cells.exponential, cell_scale);
    }
  }
}

std::unique_ptr<Kernel> PrepareBoxLoss(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), cells_of_row = context.InputShape(2).size() / rows;
  const auto factor = static_cast<double>(context.Attributes<graph::BoxLossAttributes>().factor);
  return MakeKernel([=, cells = BoxCells(context), row_sums = reinterpret_cast<double*>(context.operands.workspace),
                     sum = context.Output<double>(0), threads = context.threads] {
    SumRows(threads, rows, row_sums, sum,
            [&](int64_t r) { return factor * BoxLossOf(cells, r * cells_of_row, (r + 1) * cells_of_row); });
  });
}

std::unique_ptr<Kernel> PrepareBoxLossGrad(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), cells_of_row = context.InputShape(2).size() / rows;
  const auto& attributes = context.Attributes<graph::BoxLossAttributes>();
  return MakeKernel([=, cells = BoxCells(context), factor = attributes.factor, loss = attributes.loss,
                     step_block = context.Input<graph::StepBlock>(3), dsides = context.Output(0),
                     threads = context.threads] {
    ForEachPiece(threads, rows, 1, [&](int, int64_t begin, int64_t end) {
      BoxGradientsOf(cells, begin * cells_of_row, end * cells_of_row, dsides, factor * step_block->loss_scale[loss]);
    });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kSigmoidCrossEntropy, .prepare = PrepareCrossEntropy, .workspace_bytes = RowSumsBytes},
    {.kind = OpKind::kSigmoidCrossEntropyGrad, .prepare = PrepareCrossEntropyGrad},
    {.kind = OpKind::kFocalLoss, .prepare = PrepareFocalLoss, .workspace_bytes = RowSumsBytes},
    {.kind = OpKind::kFocalLossGrad, .prepare = PrepareFocalLossGrad},
    {.kind = OpKind::kBoxLoss, .prepare = PrepareBoxLoss, .workspace_bytes = RowSumsBytes},
    {.kind = OpKind::kBoxLossGrad, .prepare = PrepareBoxLossGrad},
};

}  // namespace

std::span<const KernelRow> DetectionRows() { return kRows; }

}  // namespace lockstep::onednn
