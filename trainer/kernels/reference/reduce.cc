// Reductions and softmax. Sums and products have the rounding of their terms; maxima and minima are exact. Of equal
// maxima, each gets its share of the gradient; the gradient of a product is the product of the others.
#include <algorithm>

#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;
using graph::ReduceFunction;

/// For each element of y, those of x that go into it, in row-major order.
std::vector<std::vector<size_t>> Groups(const Shape& x, uint32_t axes) {
  int64_t outputs = 1;
  for (int d = 0; d < x.rank(); ++d) outputs *= (axes >> d & 1) != 0 ? 1 : x.dim(d);
  std::vector<std::vector<size_t>> groups(static_cast<size_t>(outputs));
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t rest = i, at = 0, stride = 1;
    for (int d = x.rank() - 1; d >= 0; --d) {
      const int64_t place = rest % x.dim(d);
      rest /= x.dim(d);
      if ((axes >> d & 1) != 0) continue;
      at += place * stride;
      stride *= x.dim(d);
    }
    groups[static_cast<size_t>(at)].push_back(static_cast<size_t>(i));
  }
  return groups;
}

Shape ReducedShape(const Shape& x, const graph::ReduceAttributes& attributes) {
  std::vector<int64_t> dims;
  for (int d = 0; d < x.rank(); ++d) {
    if ((attributes.axes >> d & 1) == 0) dims.push_back(x.dim(d));
    if ((attributes.axes >> d & 1) != 0 && attributes.keep) dims.push_back(1);
  }
  return Shape(std::span<const int64_t>(dims));
}

Sum ReduceGroup(ReduceFunction function, const std::vector<double>& x, const std::vector<size_t>& group) {
  Sum sum;
  double largest = x[group[0]], least = x[group[0]], product = 1;
  for (const size_t i : group) {
    sum.Add(x[i]);
    largest = std::max(largest, x[i]);
    least = std::min(least, x[i]);
    product *= x[i];
  }
  if (function == ReduceFunction::kMax) return {largest, 0};
  if (function == ReduceFunction::kMin) return {least, 0};
  if (function == ReduceFunction::kProduct) return {product, std::abs(product)};
  return function == ReduceFunction::kMean ? sum * (1 / static_cast<double>(group.size())) : sum;
}

std::vector<Tensor> Reduce(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<graph::ReduceAttributes>();
  const std::vector<std::vector<size_t>> groups = Groups(x.shape, attributes.axes);
  Tensor y = Zeros(ReducedShape(x.shape, attributes), static_cast<int64_t>(groups[0].size()));
  for (size_t o = 0; o < groups.size(); ++o) Store(y, o, ReduceGroup(attributes.function, x.data, groups[o]));
  return {y};
}

/// What each element of `group` counts for in element o of y.
std::vector<double> Slopes(const Call& call, ReduceFunction function, size_t o, const std::vector<size_t>& group) {
  const auto n = static_cast<double>(group.size());
  if (function == ReduceFunction::kSum) return std::vector<double>(group.size(), 1.0);
  if (function == ReduceFunction::kMean) return std::vector<double>(group.size(), 1 / n);
  const std::vector<double>& x = call.in(1).data;
  std::vector<double> slopes;
  if (function == ReduceFunction::kProduct) {
    for (const size_t i : group) {
      double others = 1;
      for (const size_t j : group) others *= j == i ? 1 : x[j];
      slopes.push_back(others);
    }
    return slopes;
  }
  const double y = call.in(2).data[o];
  const auto ties = std::ranges::count_if(group, [&](size_t i) { return x[i] == y; });
  for (const size_t i : group) slopes.push_back(x[i] == y ? 1 / static_cast<double>(ties) : 0);
  return slopes;
}

std::vector<Tensor> ReduceGrad(const Call& call) {
  const Tensor& dy = call.in(0);
  const auto& attributes = call.op.as<graph::ReduceAttributes>();
  const std::vector<std::vector<size_t>> groups = Groups(attributes.result, attributes.axes);
  const bool product = attributes.function == ReduceFunction::kProduct;
  const bool copied = attributes.function == ReduceFunction::kSum;
  Tensor dx = Zeros(attributes.result, product ? static_cast<int64_t>(groups[0].size()) : 1);
  for (size_t o = 0; o < groups.size(); ++o) {
    const std::vector<double> slopes = Slopes(call, attributes.function, o, groups[o]);
    for (size_t k = 0; k < slopes.size(); ++k) {
      const double value = dy.data[o] * slopes[k];
      Store(dx, groups[o][k], {value, copied ? 0 : std::abs(value)});
    }
  }
  return {dx};
}

// A softmax errs by what x and the largest of its row are apart (their difference is rounded before its exponential is
// taken), and by the sum of its row.

std::vector<Tensor> Softmax(const Call& call) {
  const Tensor& x = call.in(0);
  const auto columns = static_cast<size_t>(x.shape[-1]);
  const bool log = call.op.as<graph::SoftmaxAttributes>().log;
  Tensor y = Zeros(x.shape, x.shape[-1]);
  for (size_t row = 0; row < x.data.size(); row += columns) {
    const double largest = *std::max_element(x.data.begin() + static_cast<std::ptrdiff_t>(row),
                                             x.data.begin() + static_cast<std::ptrdiff_t>(row + columns));
    double sum = 0;
    for (size_t i = row; i < row + columns; ++i) sum += std::exp(x.data[i] - largest);
    for (size_t i = row; i < row + columns; ++i) {
      const double apart = std::abs(x.data[i] - largest), p = std::exp(x.data[i] - largest) / sum;
      if (log) {
        Store(y, i, {x.data[i] - largest - std::log(sum), 1 + apart + std::log(sum)});
      } else {
        Store(y, i, {p, p > 0 ? p * (2 + apart) : 0});
      }
    }
  }
  return {y};
}

std::vector<Tensor> SoftmaxGrad(const Call& call) {
  const Tensor &dy = call.in(0), &y = call.in(1);
  const auto columns = static_cast<size_t>(y.shape[-1]);
  const bool log = call.op.as<graph::SoftmaxAttributes>().log;
  Tensor dx = Zeros(y.shape, y.shape[-1]);
  for (size_t row = 0; row < y.data.size(); row += columns) {
    Sum sum;
    for (size_t i = row; i < row + columns; ++i) sum.Add(log ? dy.data[i] : dy.data[i] * y.data[i]);
    for (size_t i = row; i < row + columns; ++i) {
      const double p = log ? std::exp(y.data[i]) : y.data[i], d = dy.data[i];
      if (log) {
        Store(dx, i, {d - p * sum.value, std::abs(d) + p * sum.magnitude * 2});
      } else {
        Store(dx, i, {p * (d - sum.value), p * (std::abs(d) + sum.magnitude)});
      }
    }
  }
  return {dx};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kSoftmax, .run = Softmax},
    {.kind = OpKind::kSoftmaxGrad, .run = SoftmaxGrad},
    {.kind = OpKind::kReduce, .run = Reduce},
    {.kind = OpKind::kReduceGrad, .run = ReduceGrad},
};

}  // namespace

std::span<const OpFunction> ReduceRows() { return kRows; }

}  // namespace lockstep::reference
