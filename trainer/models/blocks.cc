#include "trainer/models/blocks.h"

#include <cmath>

#include "base/error.h"

namespace lockstep::models {

using graph::Builder;
using graph::ValueId;

void Fail(const std::string& field, const std::string& message, const std::string& hint) {
  throw Error(ErrorKind::kUsage, fmt::format("{}: {}", field, message), "", hint);
}

void RequireRange(const std::string& field, uint64_t value, uint64_t least, uint64_t most) {
  // A field that is not there reads as 0; an element of a list is there.
  if (value == 0 && least > 0 && !field.ends_with(']')) Fail(field, fmt::format("is required: {} to {}", least, most));
  if (value < least || value > most) Fail(field, fmt::format("{} is not in [{}, {}]", value, least, most));
}

void RequireProbability(const std::string& field, double value) {
  if (!(value >= 0 && value < 1)) Fail(field, fmt::format("{} is not in [0, 1)", value));
}

std::string SampleText(const Shape& batched) { return Shape(batched.dims().subspan(1)).ToString(); }

void RequireImages(const std::string& field, const Shape& x) {
  if (x.rank() == 4) return;
  Fail(field, fmt::format("needs images [height, width, channels]; what comes in is {}", SampleText(x)));
}

graph::Activation ToGraph(Activation activation) {
  switch (activation) {
    case RELU:
      return graph::Activation::kRelu;
    case GELU:
      return graph::Activation::kGelu;
    case SILU:
      return graph::Activation::kSilu;
    case TANH:
      return graph::Activation::kTanh;
    case SIGMOID:
      return graph::Activation::kSigmoid;
    case GELU_TANH:
      return graph::Activation::kGeluTanh;
    default:
      return graph::Activation::kNone;
  }
}

namespace {

graph::Initializer HeNormal(int64_t fan_in) {
  return {.value = 0, .deviation = static_cast<float>(std::sqrt(2.0 / static_cast<double>(fan_in)))};
}

/// Both in [least, kMaxWindow].
void RequirePair(const std::string& field, graph::Pair pair, int least) {
  for (const int size : {pair.height, pair.width})
    RequireRange(field, static_cast<uint64_t>(size), static_cast<uint64_t>(least), kMaxWindow);
}

/// "3" of three by three.
std::string PairText(graph::Pair pair) {
  return pair.height == pair.width ? fmt::format("{}", pair.height) : fmt::format("{}x{}", pair.height, pair.width);
}

void RequireWindow(const std::string& field, const Shape& x, graph::Pair kernel, graph::Pair padding,
                   graph::Pair dilation = 1) {
  const auto fits = [](int64_t size, int window, int around, int apart) {
    return int64_t{window - 1} * apart + 1 <= size + 2 * int64_t{around};
  };
  if (fits(x.dim(1), kernel.height, padding.height, dilation.height) &&
      fits(x.dim(2), kernel.width, padding.width, dilation.width))
    return;
  Fail(field,
       fmt::format("{} is larger than the image, {}x{} with padding {}", PairText(kernel), x.dim(1), x.dim(2),
                   PairText(padding)),
       "make the window smaller, or shrink images less before it");
}

}  // namespace

ValueId AddLinear(Builder& builder, ValueId x, const std::string& name, uint64_t out, bool bias,
                  const std::string& field) {
  RequireRange(field, out, 1, kMaxWidth);
  return builder.Linear(x, name, static_cast<int64_t>(out), bias, HeNormal(builder.shape(x).dim(-1)));
}

ValueId AttendToCache(Builder& builder, ValueId x, const std::string& name, int64_t width,
                      const graph::AttentionAttributes& attention, const Continuation& continuation) {
  const int64_t channels = builder.shape(x).dim(2);
  const std::string cache = name + ".cache";
  const ValueId state = builder.State(cache, {continuation.capacity, channels - width});
  const ValueId memory = builder.CacheAppend(state, x, continuation.first, width, channels);
  builder.NextState(cache, memory);
  return builder.Attention(builder.Slice(x, 0, width), memory, continuation.length, attention);
}

ValueId AddTorchLinear(Builder& builder, ValueId x, const std::string& name, int64_t out) {
  const graph::Initializer start{.uniform =
                                     static_cast<float>(1 / std::sqrt(static_cast<double>(builder.shape(x).dim(-1))))};
  return builder.Linear(x, name, out, /*bias=*/true, start, start);
}

ValueId AddConv(Builder& builder, ValueId x, const std::string& name, const ConvShape& conv, const std::string& field) {
  const Shape& in = builder.shape(x);
  RequireImages(field, in);
  RequireRange(field + ".channels", conv.channels, 1, kMaxWidth);
  RequirePair(field + ".kernel", conv.kernel, 1);
  RequirePair(field + ".stride", conv.stride, 1);
  RequirePair(field + ".padding", conv.padding, 0);
  RequirePair(field + ".dilation", conv.dilation, 1);
  RequireRange(field + ".groups", conv.groups, 1, kMaxWidth);
  RequireWindow(field + ".kernel", in, conv.kernel, conv.padding, conv.dilation);
  const auto channels = static_cast<uint64_t>(in.dim(3));
  if (channels % conv.groups != 0 || conv.channels % conv.groups != 0) {
    Fail(field + ".groups",
         fmt::format("{} does not divide both {} input and {} output channels", conv.groups, channels, conv.channels));
  }
  const auto fan_in = static_cast<int64_t>(channels / conv.groups) * conv.kernel.height * conv.kernel.width;
  return builder.Conv2d(x, name,
                        {.out = static_cast<int64_t>(conv.channels),
                         .kernel = conv.kernel,
                         .stride = conv.stride,
                         .padding = conv.padding,
                         .groups = static_cast<int>(conv.groups),
                         .bias = conv.bias,
                         .weight = HeNormal(fan_in),
                         .dilation = conv.dilation});
}

ConvShape SquareConv(uint64_t channels, int kernel, int stride) {
  return {.channels = channels, .kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = false};
}

ValueId AddConvNorm(Builder& builder, ValueId x, const std::string& conv, const std::string& norm,
                    const ConvShape& shape, const std::string& field, float norm_start) {
  x = AddConv(builder, x, conv, shape, field);
  return AddBatchNorm(builder, x, norm, {.weight_start = norm_start}, field);
}

graph::Pair PairOf(const std::string& field, const google::protobuf::RepeatedField<uint32_t>& numbers,
                   graph::Pair otherwise) {
  if (numbers.empty()) return otherwise;
  if (numbers.size() > 2) Fail(field, fmt::format("{} numbers, but there are one or two", numbers.size()));
  for (const uint32_t number : numbers) RequireRange(field, number, 0, kMaxWindow);
  return {static_cast<int>(numbers[0]), static_cast<int>(numbers[numbers.size() - 1])};
}

ValueId AddPool(Builder& builder, ValueId x, PoolKind kind, const PoolShape& pool, const std::string& field) {
  RequireImages(field, builder.shape(x));
  // A byte numbers the cells of a max pooling window.
  for (const int size : {pool.kernel.height, pool.kernel.width})
    RequireRange(field, static_cast<uint64_t>(size), 1, kind == PoolKind::kMax ? 16 : kMaxWindow);
  RequirePair(field, pool.stride, 1);
  if (pool.padding.height >= pool.kernel.height || pool.padding.width >= pool.kernel.width)
    Fail(field,
         fmt::format("padding {} is not less than the window, {}", PairText(pool.padding), PairText(pool.kernel)));
  RequireWindow(field, builder.shape(x), pool.kernel, pool.padding);
  return kind == PoolKind::kMax ? builder.MaxPool2d(x, pool.kernel, pool.stride, pool.padding)
                                : builder.AveragePool2d(x, pool.kernel, pool.stride, pool.padding);
}

ValueId AddBatchNorm(Builder& builder, ValueId x, const std::string& name, const NormShape& norm,
                     const std::string& field) {
  const Shape& shape = builder.shape(x);
  if (builder.mode() == graph::Mode::kTrain && shape.size() == shape.dim(-1)) {
    Fail(field, "batch norm sees a single value of each channel: a lane of one sample, and no image left",
         "use more samples a lane, layer norm, or less pooling");
  }
  if (!(norm.epsilon > 0 && std::isfinite(norm.epsilon))) {
    Fail(field + ".epsilon", fmt::format("{} is not a number > 0", norm.epsilon));
  }
  if (!(norm.momentum > 0 && norm.momentum <= 1)) {
    Fail(field + ".momentum", fmt::format("{} is not in (0, 1]", norm.momentum));
  }
  return builder.BatchNorm(x, name, static_cast<float>(norm.epsilon), static_cast<float>(norm.momentum),
                           norm.weight_start);
}

}  // namespace lockstep::models
