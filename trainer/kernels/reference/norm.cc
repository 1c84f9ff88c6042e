// Normalisations. K is the number of elements that the statistics are taken over.
//
// Forward, the mean is the op's own and carries its rounding: y = (x - mean) inv_std w + b has magnitude
// (|x| + mean |x|) inv_std |w| + |b|. The variance is a sum of squared deviations from the mean, whose error enters
// squared, so its magnitude is itself: sums of x and x^2 would lose it where the mean is large. Backward, the mean is
// an exact operand, and x_hat = (x - mean) inv_std is as good as its own rounding.
#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

using graph::NormAttributes;

/// A set of `count` elements that are normalised together: `width` neighbours from first, first + stride, ... on.
struct Group {
  size_t first, count, stride, width = 1;

  size_t at(size_t i) const { return first + i / width * stride + i % width; }
};

struct Moments {
  Sum mean;
  double variance = 0;  // biased
};

Moments MomentsOf(const Tensor& x, const Group& group) {
  Moments moments;
  const auto count = static_cast<double>(group.count);
  for (size_t i = 0; i < group.count; ++i) moments.mean.Add(x.data[group.at(i)] / count);
  for (size_t i = 0; i < group.count; ++i) {
    const double deviation = x.data[group.at(i)] - moments.mean.value;
    moments.variance += deviation * deviation / count;
  }
  return moments;
}

Sum Normalised(double x, const Sum& mean, double inv_std, double weight, double bias) {
  return {(x - mean.value) * inv_std * weight + bias,
          (std::abs(x) + mean.magnitude) * inv_std * std::abs(weight) + std::abs(bias)};
}

/// dx of one group: inv_std (g - mean(g) - x_hat mean(g x_hat)) with g = dy weight.
/// g(i) and x_hat(i) are called with 0 <= i < group.count.
template <typename G, typename XHat>
void StoreInputGradient(const Group& group, double inv_std, G g, XHat x_hat, Tensor& dx) {
  Sum g_mean, product_mean;
  const auto count = static_cast<double>(group.count);
  for (size_t i = 0; i < group.count; ++i) {
    g_mean.Add(g(i) / count);
    product_mean.Add(g(i) * x_hat(i) / count);
  }
  for (size_t i = 0; i < group.count; ++i) {
    const double value = g(i) - g_mean.value - x_hat(i) * product_mean.value;
    const double magnitude = std::abs(g(i)) + g_mean.magnitude + std::abs(x_hat(i)) * product_mean.magnitude;
    Store(dx, group.at(i), Sum{value, magnitude} * inv_std);
  }
}

Shape WithoutLast(const Shape& shape) { return Shape(shape.dims().first(static_cast<size_t>(shape.rank() - 1))); }

std::vector<Tensor> BatchNormTrain(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<NormAttributes>();
  const auto channels = static_cast<size_t>(x.shape[-1]);
  const size_t rows = x.data.size() / channels;
  const auto terms = static_cast<int64_t>(rows);
  Tensor y = Zeros(x.shape, terms), mean = Zeros(Shape{x.shape[-1]}, terms), variance = mean, inv_std = mean;
  for (size_t c = 0; c < channels; ++c) {
    const Group group{c, rows, channels};
    const Moments moments = MomentsOf(x, group);
    const double factor = 1 / std::sqrt(moments.variance + double{attributes.epsilon});
    Store(mean, c, moments.mean);
    // One row has no unbiased variance; 0 keeps running statistics finite.
    const double unbiased = rows > 1 ? moments.variance * static_cast<double>(rows) / static_cast<double>(rows - 1) : 0;
    Store(variance, c, {unbiased, unbiased});
    Store(inv_std, c, {factor, factor});
    for (size_t i = 0; i < rows; ++i) {
      const Sum z = Normalised(x.data[group.at(i)], moments.mean, factor, call.in(1).data[c], call.in(2).data[c]);
      Store(y, group.at(i), Activate(attributes.activation, z));
    }
  }
  return {y, mean, variance, inv_std};
}

std::vector<Tensor> BatchNormInfer(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<NormAttributes>();
  const auto channels = static_cast<size_t>(x.shape[-1]);
  Tensor y = Zeros(x.shape, 3);  // x s w - mean s w + b
  for (size_t i = 0; i < x.data.size(); ++i) {
    const size_t c = i % channels;
    const double running_mean = call.in(3).data[c];
    const double inv_std = 1 / std::sqrt(call.in(4).data[c] + double{attributes.epsilon});
    const Sum z =
        Normalised(x.data[i], {running_mean, std::abs(running_mean)}, inv_std, call.in(1).data[c], call.in(2).data[c]);
    Store(y, i, Activate(attributes.activation, z));
  }
  return {y};
}

/// Whether the activation of a batch norm let element i through: from y, or from what the bias makes of x. The operands
/// are those of kBatchNormGrad from `x` on.
bool LetThrough(const Call& call, size_t x, size_t i) {
  if (call.op.as<NormAttributes>().activation == graph::Activation::kNone) return true;
  if (call.Has(x + 4)) return call.in(x + 4).data[i] > 0;
  const size_t c = i % call.in(x + 1).data.size();
  const auto at = [&](size_t operand) { return call.in(operand).data[c]; };
  return (call.in(x).data[i] - at(x + 2)) * at(x + 3) * at(x + 1) + at(x + 5) > 0;
}

std::vector<Tensor> BatchNormGrad(const Call& call) {
  const Tensor &x = call.in(1), &weight = call.in(2), &mean = call.in(3), &inv_std = call.in(4);
  const auto channels = static_cast<size_t>(x.shape[-1]);
  const size_t rows = x.data.size() / channels;
  Tensor dy = call.in(0);
  for (size_t i = 0; i < dy.data.size(); ++i)
    if (!LetThrough(call, 1, i)) dy.data[i] = 0;
  const auto terms = static_cast<int64_t>(rows);
  Tensor dx = Zeros(x.shape, terms), dweight = Zeros(weight.shape, terms), dbias = dweight;
  for (size_t c = 0; c < channels; ++c) {
    const Group group{c, rows, channels};
    const auto x_hat = [&](size_t i) { return (x.data[group.at(i)] - mean.data[c]) * inv_std.data[c]; };
    const auto g = [&](size_t i) { return dy.data[group.at(i)] * weight.data[c]; };
    StoreInputGradient(group, inv_std.data[c], g, x_hat, dx);
    for (size_t i = 0; i < rows; ++i) {
      Add(dweight, c, dy.data[group.at(i)] * x_hat(i));
      Add(dbias, c, dy.data[group.at(i)]);
    }
  }
  return {dx, dweight, dbias};
}

std::vector<Tensor> LayerNorm(const Call& call) {
  const Tensor& x = call.in(0);
  const auto channels = static_cast<size_t>(x.shape[-1]);
  Tensor y = Zeros(x.shape, x.shape[-1]);
  Tensor mean = Zeros(WithoutLast(x.shape), x.shape[-1]), inv_std = mean;
  const auto bias = [&](size_t c) { return call.Has(2) ? call.in(2).data[c] : 0.0; };
  for (size_t r = 0; r < mean.data.size(); ++r) {
    const Group group{r * channels, channels, 1};
    const Moments moments = MomentsOf(x, group);
    const double factor = 1 / std::sqrt(moments.variance + double{call.op.as<NormAttributes>().epsilon});
    Store(mean, r, moments.mean);
    Store(inv_std, r, {factor, factor});
    for (size_t c = 0; c < channels; ++c) {
      const double value = x.data[group.at(c)];
      Store(y, group.at(c), Normalised(value, moments.mean, factor, call.in(1).data[c], bias(c)));
    }
  }
  return {y, mean, inv_std};
}

std::vector<Tensor> LayerNormGrad(const Call& call) {
  const Tensor &dy = call.in(0), &x = call.in(1), &weight = call.in(2), &mean = call.in(3), &inv_std = call.in(4);
  const auto channels = static_cast<size_t>(x.shape[-1]);
  const size_t rows = x.data.size() / channels;
  Tensor dx = Zeros(x.shape, x.shape[-1]), dweight = Zeros(weight.shape, static_cast<int64_t>(rows)), dbias = dweight;
  for (size_t r = 0; r < rows; ++r) {
    const Group group{r * channels, channels, 1};
    const auto x_hat = [&](size_t i) { return (x.data[group.at(i)] - mean.data[r]) * inv_std.data[r]; };
    const auto g = [&](size_t i) { return dy.data[group.at(i)] * weight.data[i]; };
    StoreInputGradient(group, inv_std.data[r], g, x_hat, dx);
    for (size_t c = 0; c < channels; ++c) {
      Add(dweight, c, dy.data[group.at(c)] * x_hat(c));
      Add(dbias, c, dy.data[group.at(c)]);
    }
  }
  return {dx, dweight, dbias};
}

std::vector<Tensor> RmsNorm(const Call& call) {
  const Tensor &x = call.in(0), &weight = call.in(1);
  const auto channels = static_cast<size_t>(x.shape[-1]);
  Tensor y = Zeros(x.shape, x.shape[-1]), inv_rms = Zeros(WithoutLast(x.shape), x.shape[-1]);
  for (size_t r = 0; r < inv_rms.data.size(); ++r) {
    const double* row = &x.data[r * channels];
    double mean_square = 0;
    for (size_t c = 0; c < channels; ++c) mean_square += row[c] * row[c] / static_cast<double>(channels);
    const double factor = 1 / std::sqrt(mean_square + double{call.op.as<NormAttributes>().epsilon});
    Store(inv_rms, r, {factor, factor});
    for (size_t c = 0; c < channels; ++c) Add(y, r * channels + c, row[c] * factor * weight.data[c]);
  }
  return {y, inv_rms};
}

std::vector<Tensor> RmsNormGrad(const Call& call) {
  const Tensor &dy = call.in(0), &x = call.in(1), &weight = call.in(2), &inv_rms = call.in(3);
  const auto channels = static_cast<size_t>(x.shape[-1]);
  const size_t rows = x.data.size() / channels;
  Tensor dx = Zeros(x.shape, x.shape[-1]), dweight = Zeros(weight.shape, static_cast<int64_t>(rows));
  for (size_t r = 0; r < rows; ++r) {
    const auto at = [&](size_t c) { return r * channels + c; };
    const double factor = inv_rms.data[r];
    Sum product_mean;
    for (size_t c = 0; c < channels; ++c) {
      Add(dweight, c, dy.data[at(c)] * x.data[at(c)] * factor);
      product_mean.Add(dy.data[at(c)] * weight.data[c] * x.data[at(c)] * factor / static_cast<double>(channels));
    }
    for (size_t c = 0; c < channels; ++c) {
      const double g = dy.data[at(c)] * weight.data[c], x_hat = x.data[at(c)] * factor;
      const Sum sum{g - x_hat * product_mean.value, std::abs(g) + std::abs(x_hat) * product_mean.magnitude};
      Store(dx, at(c), sum * factor);
    }
  }
  return {dx, dweight};
}

std::vector<Tensor> BatchNormInferGrad(const Call& call) {
  const Tensor &dy = call.in(0), &weight = call.in(1), &running_var = call.in(2);
  Tensor dx = Zeros(dy.shape, 1);
  for (size_t i = 0; i < dy.data.size(); ++i) {
    const size_t c = i % weight.data.size();
    const double inv_std = 1 / std::sqrt(running_var.data[c] + double{call.op.as<NormAttributes>().epsilon});
    Add(dx, i, dy.data[i] * weight.data[c] * inv_std);
  }
  return {dx};
}

/// Group `i` of all groups of images x [n, h, w, c], in the order of their statistics [n, groups].
Group GroupOf(const Shape& x, size_t groups, size_t i) {
  const auto cells = static_cast<size_t>(x[1] * x[2]), channels = static_cast<size_t>(x[3]), width = channels / groups;
  return {i / groups * cells * channels + i % groups * width, cells * width, channels, width};
}

std::vector<Tensor> GroupNorm(const Call& call) {
  const Tensor &x = call.in(0), &weight = call.in(1), &bias = call.in(2);
  const auto& attributes = call.op.as<graph::GroupNormAttributes>();
  const int64_t terms = x.shape[1] * x.shape[2] * x.shape[3] / attributes.groups;
  Tensor y = Zeros(x.shape, terms), mean = Zeros(Shape{x.shape[0], attributes.groups}, terms), inv_std = mean;
  for (size_t r = 0; r < mean.data.size(); ++r) {
    const Group group = GroupOf(x.shape, static_cast<size_t>(attributes.groups), r);
    const Moments moments = MomentsOf(x, group);
    const double factor = 1 / std::sqrt(moments.variance + double{attributes.epsilon});
    Store(mean, r, moments.mean);
    Store(inv_std, r, {factor, factor});
    for (size_t i = 0; i < group.count; ++i) {
      const size_t at = group.at(i), c = at % weight.data.size();
      Store(y, at, Normalised(x.data[at], moments.mean, factor, weight.data[c], bias.data[c]));
    }
  }
  return {y, mean, inv_std};
}

std::vector<Tensor> GroupNormGrad(const Call& call) {
  const Tensor &dy = call.in(0), &x = call.in(1), &weight = call.in(2), &mean = call.in(3), &inv_std = call.in(4);
  const auto groups = static_cast<size_t>(call.op.as<graph::GroupNormAttributes>().groups);
  const size_t channels = weight.data.size();
  Tensor dx = Zeros(x.shape, x.shape[1] * x.shape[2] * x.shape[3] / static_cast<int64_t>(groups));
  Tensor dweight = Zeros(weight.shape, x.shape[0] * x.shape[1] * x.shape[2]), dbias = dweight;
  for (size_t r = 0; r < mean.data.size(); ++r) {
    const Group group = GroupOf(x.shape, groups, r);
    const auto x_hat = [&](size_t i) { return (x.data[group.at(i)] - mean.data[r]) * inv_std.data[r]; };
    const auto g = [&](size_t i) { return dy.data[group.at(i)] * weight.data[group.at(i) % channels]; };
    StoreInputGradient(group, inv_std.data[r], g, x_hat, dx);
    for (size_t i = 0; i < group.count; ++i) {
      Add(dweight, group.at(i) % channels, dy.data[group.at(i)] * x_hat(i));
      Add(dbias, group.at(i) % channels, dy.data[group.at(i)]);
    }
  }
  return {dx, dweight, dbias};
}

/// `call` with other inputs.
template <typename Run>
std::vector<Tensor> RunWith(const Call& call, const std::vector<const Tensor*>& inputs, Run run) {
  return run(Call{call.op, inputs, call.step_block});
}

/// Normalises the sum of operands 0 and 1 by `norm`, which takes the others behind it.
template <typename Norm>
std::vector<Tensor> AddAndNormalise(const Call& call, Norm norm) {
  const Tensor &a = call.in(0), &b = call.in(1);
  Tensor sum = Zeros(a.shape, 1);
  for (size_t i = 0; i < a.data.size(); ++i) {
    Add(sum, i, a.data[i]);
    Add(sum, i, b.data[i]);
  }
  std::vector<const Tensor*> inputs(call.inputs.begin() + 1, call.inputs.end());
  inputs[0] = &sum;
  std::vector<Tensor> results = RunWith(call, inputs, norm);
  results.insert(results.begin(), sum);
  return results;
}

/// Adds operand 0 to dx of `gradient`, which takes the others.
template <typename Gradient>
std::vector<Tensor> AddToGradient(const Call& call, Gradient gradient) {
  std::vector<Tensor> results = RunWith(call, {call.inputs.begin() + 1, call.inputs.end()}, gradient);
  for (size_t i = 0; i < results[0].data.size(); ++i) Add(results[0], i, call.in(0).data[i]);
  return results;
}

std::vector<Tensor> AddLayerNorm(const Call& call) { return AddAndNormalise(call, LayerNorm); }
std::vector<Tensor> AddRmsNorm(const Call& call) { return AddAndNormalise(call, RmsNorm); }
std::vector<Tensor> AddLayerNormGrad(const Call& call) { return AddToGradient(call, LayerNormGrad); }
std::vector<Tensor> AddRmsNormGrad(const Call& call) { return AddToGradient(call, RmsNormGrad); }

std::vector<Tensor> BatchNormAddTrain(const Call& call) {
  graph::Op plain = call.op;
  std::get<NormAttributes>(plain.attributes).activation = graph::Activation::kNone;
  const std::vector<const Tensor*> operands = {&call.in(0), &call.in(2), &call.in(3)};
  std::vector<Tensor> results = BatchNormTrain(Call{plain, operands, call.step_block});
  Tensor& y = results[0];
  for (size_t i = 0; i < y.data.size(); ++i) {
    Add(y, i, call.in(1).data[i]);
    Store(y, i, Activate(call.op.as<NormAttributes>().activation, Sum{y.data[i], y.magnitude[i]}));
  }
  return results;
}

std::vector<Tensor> BatchNormAddGrad(const Call& call) {
  Tensor g = Zeros(call.in(2).shape, call.Has(1) ? 2 : 1);
  for (size_t i = 0; i < g.data.size(); ++i) {
    if (!LetThrough(call, 2, i)) continue;
    Add(g, i, call.in(0).data[i]);
    if (call.Has(1)) Add(g, i, call.in(1).data[i]);
  }
  graph::Op plain = call.op;
  std::get<NormAttributes>(plain.attributes).activation = graph::Activation::kNone;
  const std::vector<const Tensor*> operands = {&g, &call.in(2), &call.in(3), &call.in(4), &call.in(5)};
  std::vector<Tensor> results = BatchNormGrad(Call{plain, operands, call.step_block});
  results.push_back(g);
  return results;
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kBatchNormInferGrad, .run = BatchNormInferGrad},
    {.kind = OpKind::kGroupNorm, .run = GroupNorm},
    {.kind = OpKind::kGroupNormGrad, .run = GroupNormGrad},
    {.kind = OpKind::kAddLayerNorm, .run = AddLayerNorm},
    {.kind = OpKind::kAddRmsNorm, .run = AddRmsNorm},
    {.kind = OpKind::kAddLayerNormGrad, .run = AddLayerNormGrad},
    {.kind = OpKind::kAddRmsNormGrad, .run = AddRmsNormGrad},
    {.kind = OpKind::kBatchNormAddTrain, .run = BatchNormAddTrain},
    {.kind = OpKind::kBatchNormAddGrad, .run = BatchNormAddGrad},
    {.kind = OpKind::kBatchNormTrain, .run = BatchNormTrain},
    {.kind = OpKind::kBatchNormInfer, .run = BatchNormInfer},
    {.kind = OpKind::kBatchNormGrad, .run = BatchNormGrad},
    {.kind = OpKind::kLayerNorm, .run = LayerNorm},
    {.kind = OpKind::kLayerNormGrad, .run = LayerNormGrad},
    {.kind = OpKind::kRmsNorm, .run = RmsNorm},
    {.kind = OpKind::kRmsNormGrad, .run = RmsNormGrad},
};

}  // namespace

std::span<const OpFunction> NormRows() { return kRows; }

}  // namespace lockstep::reference
