// Losses and counters. K is the number of terms of the sum over rows and columns, or the row length for softmax.
//
// lse = m + log(sum exp(l - m)) with m the largest logit: |m| + |log|, and each exponential with its own rounding and
// that of its argument, (1 + |l - m|) exp(l - m), over their sum. The gradient takes lse as an exact operand: exp(l -
// lse) has magnitude (1 + |l - lse|) exp(l - lse).
#include <algorithm>

#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

using graph::LossAttributes;

Sum LogSumExp(const double* logits, size_t classes) {
  const double largest = *std::max_element(logits, logits + classes);
  Sum sum;
  for (size_t j = 0; j < classes; ++j) {
    const double exponential = std::exp(logits[j] - largest);
    sum.value += exponential;
    sum.magnitude += (1 + largest - logits[j]) * exponential;
  }
  const double log = std::log(sum.value);
  return {largest + log, std::abs(largest) + std::abs(log) + sum.magnitude / sum.value};
}

/// The weighted targets of a row; weights are operands from `first` on.
struct RowTarget {
  double label = 0, weight = 1, other_label = -1, other_weight = 0;

  RowTarget(const Call& call, size_t first, size_t row) : label(call.in(1).data[row]) {
    if (call.Has(first)) weight = call.in(first).data[row];
    if (!call.Has(first + 1)) return;
    other_label = call.in(first + 1).data[row];
    other_weight = call.in(first + 2).data[row];
  }
  double total() const { return weight + other_weight; }
  double At(const LossAttributes& attributes, size_t classes, size_t column) const {
    const double smoothing = attributes.label_smoothing, at = static_cast<double>(column);
    return (at == label ? (1 - smoothing) * weight : 0) + (at == other_label ? (1 - smoothing) * other_weight : 0) +
           total() * smoothing / static_cast<double>(classes);
  }
};

double LossScale(const Call& call) { return call.step_block.loss_scale[call.op.as<LossAttributes>().loss]; }

/// Rows whose first largest logit is the label's.
Sum CountCorrect(const Tensor& logits, const Tensor& label) {
  const auto classes = static_cast<size_t>(logits.shape[-1]);
  Sum count;
  for (size_t r = 0; r < label.data.size(); ++r) {
    const auto row = logits.data.begin() + static_cast<std::ptrdiff_t>(r * classes);
    const auto first_largest = std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row;
    if (static_cast<double>(first_largest) == label.data[r]) count.value += 1;
  }
  return count;
}

std::vector<Tensor> SoftmaxCrossEntropy(const Call& call) {
  const Tensor &logits = call.in(0), &label = call.in(1);
  const auto& attributes = call.op.as<LossAttributes>();
  const auto classes = static_cast<size_t>(logits.shape[-1]);
  Tensor lse = Zeros(label.shape, logits.shape[-1]);
  Sum sum;
  for (size_t r = 0; r < label.data.size(); ++r) {
    const double* row = &logits.data[r * classes];
    const Sum row_lse = LogSumExp(row, classes);
    Store(lse, r, row_lse);
    if (label.data[r] < 0) continue;
    const RowTarget row_target(call, 2, r);
    for (size_t j = 0; j < classes; ++j) {
      const double target = row_target.At(attributes, classes, j);
      sum.value += target * (row_lse.value - row[j]);
      sum.magnitude += target * (row_lse.magnitude + std::abs(row[j]));
    }
  }
  return {Scalar(sum, logits.shape.size()), lse, Scalar(CountCorrect(logits, label), 1)};
}

std::vector<Tensor> SoftmaxCrossEntropyGrad(const Call& call) {
  const Tensor &logits = call.in(0), &label = call.in(1), &lse = call.in(2);
  const auto& attributes = call.op.as<LossAttributes>();
  const auto classes = static_cast<size_t>(logits.shape[-1]);
  Tensor dlogits = Zeros(logits.shape, logits.shape[-1]);
  for (size_t i = 0; i < logits.data.size(); ++i) {
    const size_t r = i / classes;
    if (label.data[r] < 0) continue;
    const double exponent = logits.data[i] - lse.data[r];
    const RowTarget row_target(call, 4, r);
    const double softmax = std::exp(exponent) * row_target.total();
    const double target = row_target.At(attributes, classes, i % classes);
    const Sum sum{softmax - target, softmax * (1 + std::abs(exponent)) + target};
    Store(dlogits, i, sum * LossScale(call));
  }
  return {dlogits};
}

std::vector<Tensor> MeanSquaredError(const Call& call) {
  const Tensor &prediction = call.in(0), &target = call.in(1), &mask = call.in(2);
  const auto columns = static_cast<size_t>(prediction.shape[1]);
  Sum sum;
  for (size_t i = 0; i < prediction.data.size(); ++i) {
    const double error = prediction.data[i] - target.data[i];
    sum.Add(mask.data[i / columns] * error * error / static_cast<double>(columns));
  }
  return {Scalar(sum, prediction.shape.size())};
}

std::vector<Tensor> MeanSquaredErrorGrad(const Call& call) {
  const Tensor &prediction = call.in(0), &target = call.in(1), &mask = call.in(2);
  const auto columns = static_cast<size_t>(prediction.shape[1]);
  Tensor dprediction = Zeros(prediction.shape, 2);
  for (size_t i = 0; i < prediction.data.size(); ++i) {
    const double error = prediction.data[i] - target.data[i];
    Add(dprediction, i, 2 / static_cast<double>(columns) * error * mask.data[i / columns] * LossScale(call));
  }
  return {dprediction};
}

std::vector<Tensor> ArgMax(const Call& call) {
  const Tensor& x = call.in(0);
  const auto columns = static_cast<size_t>(x.shape[-1]);
  Tensor y = Zeros(Shape(x.shape.dims().first(static_cast<size_t>(x.shape.rank() - 1))), 1);
  for (size_t r = 0; r < y.data.size(); ++r) {
    const double* row = &x.data[r * columns];
    y.data[r] = static_cast<double>(std::max_element(row, row + columns) - row);
  }
  return {y};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kSoftmaxCrossEntropy, .run = SoftmaxCrossEntropy},
    {.kind = OpKind::kSoftmaxCrossEntropyGrad, .run = SoftmaxCrossEntropyGrad},
    {.kind = OpKind::kMeanSquaredError, .run = MeanSquaredError},
    {.kind = OpKind::kMeanSquaredErrorGrad, .run = MeanSquaredErrorGrad},
    {.kind = OpKind::kArgMax, .run = ArgMax},
};

}  // namespace

std::span<const OpFunction> LossRows() { return kRows; }

}  // namespace lockstep::reference
