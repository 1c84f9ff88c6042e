// Losses and counters, row by row. A loss is summed in double, in row order.
#include <algorithm>
#include <cmath>

#include "base/isa_clones.h"
#include "trainer/graph/step_block.h"
#include "trainer/kernels/elementwise.h"
#include "trainer/kernels/onednn/kernel_context.h"
#include "trainer/kernels/onednn/simd.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::LossAttributes;
using graph::OpKind;

LOCKSTEP_HD float RowMaximum(const float* row, int64_t size) {
  float lanes[16];
  for (int j = 0; j < 16; ++j) lanes[j] = row[0];
  int64_t i = 0;
  for (; i + 16 <= size; i += 16) {
    for (int j = 0; j < 16; ++j) lanes[j] = row[i + j] > lanes[j] ? row[i + j] : lanes[j];
  }
  float maximum = lanes[0];
  for (int j = 1; j < 16; ++j) maximum = lanes[j] > maximum ? lanes[j] : maximum;
  for (; i < size; ++i) maximum = row[i] > maximum ? row[i] : maximum;
  return maximum;
}

/// The sum of e^(row[i] - maximum).
LOCKSTEP_HD float ExponentialSum(const float* row, int64_t size, float maximum) {
  float lanes[16] = {};
  int64_t i = 0;
  for (; i + 16 <= size; i += 16) {
    for (int j = 0; j < 16; ++j) lanes[j] += kernels::Exp(row[i + j] - maximum);
  }
  float sum = 0;
  for (int j = 0; j < 8; ++j) sum += lanes[j] + lanes[j + 8];
  for (; i < size; ++i) sum += kernels::Exp(row[i] - maximum);
  return sum;
}

/// Rows whose logarithms are taken together.
constexpr int64_t kLseRows = 64;

/// The logarithms of the sums of exponentials of `rows` rows, up to kLseRows.
LOCKSTEP_ISA_CLONES
void LogSumExps(const float* logits, int64_t rows, int64_t size, double* lse) {
  double maxima[kLseRows], sums[kLseRows];
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = logits + r * size;
    const float maximum = RowMaximum(row, size);
    maxima[r] = static_cast<double>(maximum);
    sums[r] = static_cast<double>(ExponentialSum(row, size, maximum));
  }
  for (int64_t r = 0; r < rows; ++r) lse[r] = maxima[r] + kernels::Log(sums[r]);
}

LOCKSTEP_ISA_CLONES
double RowSum(const float* row, int64_t size) {
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += static_cast<double>(row[i]);
  return sum;
}

LOCKSTEP_ISA_CLONES
void CrossEntropyGradientRow(const float* logits, float* dlogits, int64_t size, float lse, float target, float scale) {
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) dlogits[i] = kernels::CrossEntropyGradient(logits[i], lse, target, scale);
}

/// Labels, and the weights that may be absent, which are operands from `first` on.
struct Targets {
  const int32_t* labels;
  const float* weights;
  const int32_t* other_labels;
  const float* other_weights;

  Targets(const KernelContext& context, size_t first)
      : labels(context.Input<int32_t>(1)),
        weights(context.Input(first)),
        other_labels(context.Input<int32_t>(first + 1)),
        other_weights(context.Input(first + 2)) {}
  kernels::RowTarget Row(int64_t row, int64_t classes) const {
    const kernels::RowTarget target = kernels::TargetOfRow(labels, weights, other_labels, other_weights, row);
    CHECK(target.label < classes && target.other < classes, "label {} of {} classes",
          std::max(target.label, target.other), classes);
    return target;
  }
};

/// What the targets of a row make of its logits, smoothing left out.
double LogitOfTargets(const float* row, const kernels::RowTarget& target) {
  const auto logit = static_cast<double>(row[target.label]);
  if (target.other < 0) return logit;
  const auto share = static_cast<double>(target.share);
  return share * logit + (1.0 - share) * static_cast<double>(row[target.other]);
}

/// Whether one of row[begin, end) is above `x`, or, with `or_equal`, equal to it. Looks no further than it must, block
/// by block.
LOCKSTEP_ISA_CLONES
bool AnyAbove(const float* row, int64_t begin, int64_t end, float x, bool or_equal) {
  for (int64_t first = begin; first < end; first += 256) {
    const int64_t last = first + 256 < end ? first + 256 : end;
    int32_t above = 0, equal = 0;
    for (int64_t i = first; i < last; ++i) {
      above |= row[i] > x;
      equal |= row[i] == x;
    }
    if (above != 0 || (or_equal && equal != 0)) return true;
  }
  return false;
}

/// Whether `label` is the first of the largest, as a search from the left finds it where some are not numbers.
bool IsFirstLargest(const float* row, int64_t classes, int64_t label) {
  if (label < 0 || label >= classes) return false;
  if (row[0] != row[0]) return label == 0;
  const float x = row[label];
  return x == x && !AnyAbove(row, 0, label, x, true) && !AnyAbove(row, label + 1, classes, x, false);
}

std::unique_ptr<Kernel> PrepareCrossEntropy(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), classes = context.InputShape(0).dim(-1);
  const double smoothing = static_cast<double>(context.Attributes<LossAttributes>().label_smoothing);
  return MakeKernel([=, logits = context.Input(0), targets = Targets(context, 2), sum = context.Output<double>(0),
                     lse = context.Output(1), count = context.Output<int64_t>(2)] {
    double total = 0, block_lse[kLseRows];
    int64_t correct = 0;
    for (int64_t r = 0; r < rows; ++r) {
      if (r % kLseRows == 0) LogSumExps(logits + r * classes, std::min(kLseRows, rows - r), classes, block_lse);
      const float* row = logits + r * classes;
      const double row_lse = block_lse[r % kLseRows];
      if (lse != nullptr) lse[r] = static_cast<float>(row_lse);
      if (targets.labels[r] < 0) continue;
      if (count != nullptr) correct += IsFirstLargest(row, classes, targets.labels[r]);
      const kernels::RowTarget target = targets.Row(r, classes);
      double expected = (1.0 - smoothing) * LogitOfTargets(row, target);
      if (smoothing > 0) expected += smoothing / static_cast<double>(classes) * RowSum(row, classes);
      total += static_cast<double>(target.weight) * (row_lse - expected);
    }
    if (sum != nullptr) *sum = total;
    if (count != nullptr) *count = correct;
  });
}

std::unique_ptr<Kernel> PrepareCrossEntropyGrad(const KernelContext& context) {
  const int64_t rows = Rows(context.InputShape(0)), classes = context.InputShape(0).dim(-1);
  const auto& attributes = context.Attributes<LossAttributes>();
  const float smoothing = attributes.label_smoothing, elsewhere = smoothing / static_cast<float>(classes);
  return MakeKernel([=, loss = attributes.loss, logits = context.Input(0), targets = Targets(context, 4),
                     lse = context.Input(2), step_block = context.Input<graph::StepBlock>(3),
                     dlogits = context.Output(0)] {
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = logits + r * classes;
      float* gradient = dlogits + r * classes;
      if (targets.labels[r] < 0) {
        for (int64_t i = 0; i < classes; ++i) gradient[i] = 0.0f;
        continue;
      }
      const kernels::RowTarget target = targets.Row(r, classes);
      const float scale = step_block->loss_scale[loss] * target.weight;
      const float logit = row[target.label];  // dlogits may lie over logits
      const float other = target.other < 0 ? 0.0f : row[target.other];
      CrossEntropyGradientRow(row, gradient, classes, lse[r], elsewhere, scale);
      const auto correct = [&](int32_t label, float x) {
        const float wanted = kernels::TargetOfClass(target, label, smoothing, elsewhere);
        gradient[label] = kernels::CrossEntropyGradient(x, lse[r], wanted, scale);
      };
      correct(target.label, logit);
      if (target.other >= 0) correct(target.other, other);
    }
  });
}

std::unique_ptr<Kernel> PrepareSquaredError(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), columns = context.InputShape(0).dim(1);
  return MakeKernel([=, predictions = context.Input(0), targets = context.Input(1), mask = context.Input(2),
                     sum = context.Output<double>(0)] {
    double total = 0;
    for (int64_t r = 0; r < rows; ++r) {
      double row = 0;
      for (int64_t i = r * columns; i < (r + 1) * columns; ++i) {
        const double difference = static_cast<double>(predictions[i]) - static_cast<double>(targets[i]);
        row += difference * difference;
      }
      total += static_cast<double>(mask[r]) * (row / static_cast<double>(columns));
    }
    *sum = total;
  });
}

LOCKSTEP_ISA_CLONES
void SquaredErrorGradientRow(const float* predictions, const float* targets, float* gradient, int64_t size,
                             float scale) {
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) gradient[i] = kernels::SquaredErrorGradient(predictions[i], targets[i], scale);
}

std::unique_ptr<Kernel> PrepareSquaredErrorGrad(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), columns = context.InputShape(0).dim(1);
  const int loss = context.Attributes<LossAttributes>().loss;
  return MakeKernel([=, predictions = context.Input(0), targets = context.Input(1), mask = context.Input(2),
                     step_block = context.Input<graph::StepBlock>(3), gradient = context.Output(0)] {
    const float per_column = 2.0f / static_cast<float>(columns) * step_block->loss_scale[loss];
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t at = r * columns;
      SquaredErrorGradientRow(predictions + at, targets + at, gradient + at, columns, per_column * mask[r]);
    }
  });
}

std::unique_ptr<Kernel> PrepareMeanLoss(const KernelContext& context) {
  const int64_t rows = context.InputShape(0).dim(0), columns = context.InputShape(0).size() / rows;
  return MakeKernel([=, values = context.Input(0), mask = context.Input(1), sum = context.Output<double>(0)] {
    double total = 0;
    for (int64_t r = 0; r < rows; ++r) {
      if (mask[r] == 0) continue;
      double row = 0;
      for (int64_t i = r * columns; i < (r + 1) * columns; ++i) row += static_cast<double>(values[i]);
      total += static_cast<double>(mask[r]) * (row / static_cast<double>(columns));
    }
    *sum = total;
  });
}

std::unique_ptr<Kernel> PrepareMeanLossGrad(const KernelContext& context) {
  const int64_t rows = context.OutputShape(0).dim(0), columns = context.OutputShape(0).size() / rows;
  const int loss = context.Attributes<graph::MeanLossAttributes>().loss;
  return MakeKernel(
      [=, mask = context.Input(0), step_block = context.Input<graph::StepBlock>(1), gradient = context.Output(0)] {
        const float per_column = 1.0f / static_cast<float>(columns) * step_block->loss_scale[loss];
        for (int64_t r = 0; r < rows; ++r) std::fill_n(gradient + r * columns, columns, per_column * mask[r]);
      });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kMeanLoss, .prepare = PrepareMeanLoss},
    {.kind = OpKind::kMeanLossGrad, .prepare = PrepareMeanLossGrad},
    {.kind = OpKind::kSoftmaxCrossEntropy, .prepare = PrepareCrossEntropy},
    {.kind = OpKind::kSoftmaxCrossEntropyGrad, .prepare = PrepareCrossEntropyGrad},
    {.kind = OpKind::kMeanSquaredError, .prepare = PrepareSquaredError},
    {.kind = OpKind::kMeanSquaredErrorGrad, .prepare = PrepareSquaredErrorGrad},
};

}  // namespace

std::span<const KernelRow> LossRows() { return kRows; }

}  // namespace lockstep::onednn
