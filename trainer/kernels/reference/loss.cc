// Losses and counters. K is the number of terms of the sum over rows and columns, or the row length for softmax.
//
// lse = m + log(sum exp(l - m)) with m the largest logit: |m| + |log|, and each exponential with its own rounding and
// that of its argument, (1 + |l - m|) exp(l - m), over their sum. The gradient takes lse as an exact operand: exp(l -
// lse) has magnitude (1 + |l - lse|) exp(l - lse). Where loss and gradient are one op the softmax is exp(l - m) over
// the sum, both with their magnitudes.
#include <algorithm>

#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

using graph::LossAttributes;

/// A row's largest logit, and the sum of e^(logit - largest).
struct Exponentials {
  double largest;
  Sum sum;

  Exponentials(const double* logits, size_t classes) : largest(*std::max_element(logits, logits + classes)) {
    for (size_t j = 0; j < classes; ++j) {
      const double exponential = std::exp(logits[j] - largest);
      sum.value += exponential;
      sum.magnitude += (1 + largest - logits[j]) * exponential;
    }
  }
  Sum Lse() const {
    const double log = std::log(sum.value);
    return {largest + log, std::abs(largest) + std::abs(log) + sum.magnitude / sum.value};
  }
  Sum Softmax(double logit) const {
    const double softmax = std::exp(logit - largest) / sum.value;
    return {softmax, softmax * (1 + largest - logit + sum.magnitude / sum.value)};
  }
};

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

/// The loss of row r; weights are operands from `first` on.
void AddRowLoss(const Call& call, size_t first, size_t r, const Sum& lse, Sum& sum) {
  const Tensor& logits = call.in(0);
  const auto classes = static_cast<size_t>(logits.shape[-1]);
  if (call.in(1).data[r] < 0) return;
  const RowTarget row_target(call, first, r);
  for (size_t j = 0; j < classes; ++j) {
    const double target = row_target.At(call.op.as<LossAttributes>(), classes, j), logit = logits.data[r * classes + j];
    sum.value += target * (lse.value - logit);
    sum.magnitude += target * (lse.magnitude + std::abs(logit));
  }
}

std::vector<Tensor> SoftmaxCrossEntropy(const Call& call) {
  const Tensor &logits = call.in(0), &label = call.in(1);
  const auto classes = static_cast<size_t>(logits.shape[-1]);
  Tensor lse = Zeros(label.shape, logits.shape[-1]);
  Sum sum;
  for (size_t r = 0; r < label.data.size(); ++r) {
    const Sum row_lse = Exponentials(&logits.data[r * classes], classes).Lse();
    Store(lse, r, row_lse);
    AddRowLoss(call, 2, r, row_lse, sum);
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

std::vector<Tensor> SoftmaxCrossEntropyTrain(const Call& call) {
  const Tensor &logits = call.in(0), &label = call.in(1);
  const auto classes = static_cast<size_t>(logits.shape[-1]);
  Tensor dlogits = Zeros(logits.shape, logits.shape[-1]);
  Sum sum;
  for (size_t r = 0; r < label.data.size(); ++r) {
    const Exponentials row(&logits.data[r * classes], classes);
    AddRowLoss(call, 3, r, row.Lse(), sum);
    if (label.data[r] < 0) continue;
    const RowTarget row_target(call, 3, r);
    for (size_t j = 0; j < classes; ++j) {
      const Sum softmax = row.Softmax(logits.data[r * classes + j]) * row_target.total();
      const double target = row_target.At(call.op.as<LossAttributes>(), classes, j);
      Store(dlogits, r * classes + j, Sum{softmax.value - target, softmax.magnitude + target} * LossScale(call));
    }
  }
  return {dlogits, Scalar(sum, logits.shape.size()), Scalar(CountCorrect(logits, label), 1)};
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

std::vector<Tensor> MeanLoss(const Call& call) {
  const Tensor &values = call.in(0), &mask = call.in(1);
  const size_t columns = values.data.size() / mask.data.size();
  Sum sum;
  for (size_t i = 0; i < values.data.size(); ++i)
    if (mask.data[i / columns] != 0) sum.Add(mask.data[i / columns] * values.data[i] / static_cast<double>(columns));
  return {Scalar(sum, values.shape.size())};
}

std::vector<Tensor> MeanLossGrad(const Call& call) {
  const auto& attributes = call.op.as<graph::MeanLossAttributes>();
  const Tensor& mask = call.in(0);
  Tensor dvalues = Zeros(attributes.result, 2);
  const size_t columns = dvalues.data.size() / mask.data.size();
  const double scale = call.step_block.loss_scale[attributes.loss];
  for (size_t i = 0; i < dvalues.data.size(); ++i)
    Add(dvalues, i, mask.data[i / columns] * scale / static_cast<double>(columns));
  return {dvalues};
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
    {.kind = OpKind::kSoftmaxCrossEntropyTrain, .run = SoftmaxCrossEntropyTrain},
    {.kind = OpKind::kMeanSquaredError, .run = MeanSquaredError},
    {.kind = OpKind::kMeanSquaredErrorGrad, .run = MeanSquaredErrorGrad},
    {.kind = OpKind::kMeanLoss, .run = MeanLoss},
    {.kind = OpKind::kMeanLossGrad, .run = MeanLossGrad},
    {.kind = OpKind::kArgMax, .run = ArgMax},
};

}  // namespace

std::span<const OpFunction> LossRows() { return kRows; }

}  // namespace lockstep::reference
