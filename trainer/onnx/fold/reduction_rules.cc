// Shape inference and folding of operators that reduce dimensions, and of running sums.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "trainer/onnx/fold/fold.h"
#include "trainer/onnx/fold/reductions.h"

namespace lockstep::onnx {
namespace {

void InferReduce(Step& step) {
  const Reduction reduction = ReductionOf(step);
  const Dims& x = step.DimsOf(0);
  Dims dims;
  for (size_t d = 0; d < x.size(); ++d) {
    const bool reduced = std::find(reduction.axes.begin(), reduction.axes.end(), d) != reduction.axes.end();
    if (!reduced)
      dims.push_back(x[d]);
    else if (reduction.keep)
      dims.push_back(1);
  }
  step.outputs.at(0) = Known{step.In(0).type, std::move(dims)};
}

void Reduce(const Step& step, Tensor& result, double start, double (*add)(double, double), bool mean) {
  const Tensor& x = step.Constant(0);
  const Reduction reduction = ReductionOf(step);
  Dims strides(x.dims.size(), 0);
  int64_t stride = 1;
  for (size_t d = x.dims.size(); d-- > 0;) {
    if (std::find(reduction.axes.begin(), reduction.axes.end(), d) != reduction.axes.end()) continue;
    strides[d] = stride;
    stride *= x.dims[d];
  }
  result.values.assign(static_cast<size_t>(stride), start);
  size_t next = 0;
  ForEachIndex(x.dims, [&](const Dims& index) {
    int64_t offset = 0;
    for (size_t d = 0; d < index.size(); ++d) offset += index[d] * strides[d];
    double& sum = result.values[static_cast<size_t>(offset)];
    sum = add(sum, x.values[next++]);
  });
  const double divisor =
      mean ? static_cast<double>(x.values.size()) / static_cast<double>(std::max<int64_t>(stride, 1)) : 1;
  for (double& value : result.values) value = RoundTo(result.type, value / divisor);
}

double Plus(double a, double b) { return a + b; }
double Times(double a, double b) { return a * b; }
double Largest(double a, double b) { return std::max(a, b); }
double Smallest(double a, double b) { return std::min(a, b); }

void InferArg(Step& step) {
  Dims dims = step.DimsOf(0);
  const int axis = Axis(step.attributes.Int("axis", 0), step.In(0).rank());
  if (step.attributes.Int("keepdims", 1) != 0)
    dims[static_cast<size_t>(axis)] = 1;
  else
    dims.erase(dims.begin() + axis);
  step.outputs.at(0) = Known{TensorProto::INT64, std::move(dims)};
}

void InferCumulativeSum(Step& step) {
  step.Scalar(1);
  step.outputs.at(0) = Known{step.In(0).type, step.DimsOf(0)};
}

void CumulativeSum(const Step& step, Tensor& result) {
  const Tensor& x = step.Constant(0);
  const size_t axis = static_cast<size_t>(Axis(ToInt64(step.Scalar(1)), step.In(0).rank()));
  const bool exclusive = step.attributes.Int("exclusive", 0) != 0, reverse = step.attributes.Int("reverse", 0) != 0;
  const int64_t stride = StridesOf(x.dims)[axis], size = x.dims[axis];
  result.values.assign(x.values.size(), 0);
  ForEachIndex(x.dims, [&](const Dims& index) {
    if (index[axis] != 0) return;
    int64_t place = 0;
    for (size_t d = 0; d < index.size(); ++d) place += index[d] * StridesOf(x.dims)[d];
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) {
      const size_t at = static_cast<size_t>(place + (reverse ? size - 1 - i : i) * stride);
      const double before = sum;
      sum += x.values[at];
      result.values[at] = RoundTo(result.type, exclusive ? before : sum);
    }
  });
}

}  // namespace

Reduction ReductionOf(const Step& step) {
  Reduction reduction;
  Dims axes = step.IntsOf("axes", 1);
  const bool nothing = axes.empty() && step.attributes.Int("noop_with_empty_axes", 0) != 0;
  if (axes.empty() && !nothing)
    for (int d = 0; d < step.In(0).rank(); ++d) axes.push_back(d);
  for (const int64_t axis : axes) reduction.axes.push_back(static_cast<size_t>(Axis(axis, step.In(0).rank())));
  std::sort(reduction.axes.begin(), reduction.axes.end());
  reduction.keep = step.attributes.Int("keepdims", 1) != 0;
  return reduction;
}

OpRules ReductionRules() {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  OpRules rules = {
      {"ArgMax", {InferArg, nullptr}},
      {"ArgMin", {InferArg, nullptr}},
      {"CumSum", {InferCumulativeSum, CumulativeSum}},
      {"ReduceMax", {InferReduce, [](const Step& s, Tensor& t) { Reduce(s, t, -kInfinity, Largest, false); }}},
      {"ReduceMean", {InferReduce, [](const Step& s, Tensor& t) { Reduce(s, t, 0, Plus, true); }}},
      {"ReduceMin", {InferReduce, [](const Step& s, Tensor& t) { Reduce(s, t, kInfinity, Smallest, false); }}},
      {"ReduceProd", {InferReduce, [](const Step& s, Tensor& t) { Reduce(s, t, 1, Times, false); }}},
      {"ReduceSum", {InferReduce, [](const Step& s, Tensor& t) { Reduce(s, t, 0, Plus, false); }}},
  };
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"})
    rules[op] = {InferReduce, nullptr};
  return rules;
}

}  // namespace lockstep::onnx
