// Ops that multiply with weights, and those that look through windows.
#include <algorithm>

#include "trainer/onnx/export/emitters.h"

namespace lockstep::onnx {
namespace {

using graph::OpKind;
using graph::Pair;

AttributeProto Pairs(const std::string& name, Pair pair) {
  return Attribute(name, std::vector<int64_t>{pair.height, pair.width});
}
AttributeProto Pads(Pair padding) {
  return Attribute("pads", std::vector<int64_t>{padding.height, padding.width, padding.height, padding.width});
}

constexpr std::array<int, 3> kSwapLast = {0, 2, 1};

bool AllRead(const std::vector<const graph::Op*>& readers, graph::ValueId value, auto allowed) {
  return !readers.empty() && std::ranges::all_of(readers, [&](const graph::Op* reader) {
    return reader->inputs[0] == value && allowed(reader->kind);
  });
}

/// A linear layer over windows is a convolution of one dimension.
void EmitConv1d(Emission& e, const graph::Op& windows) {
  const auto& attributes = windows.as<graph::WindowsAttributes>();
  const graph::ValueId weight = e.op().inputs[1];
  const int64_t out = e.InputShape(1)[0], channels = e.InputShape(1)[1] / attributes.kernel;
  const Shape shape{out, channels, attributes.kernel};
  const bool own = e.graph().value(weight).role == graph::Role::kParameter && !e.HasInOrder(1, Order::kOurs);
  if (own) e.WriteWeight(weight, shape);
  const std::string kernel = own ? e.Tensor(weight) : e.Reshape(e.Tensor(weight), {out, channels, attributes.kernel});
  const int64_t padding = attributes.padding;
  const std::string y = e.Node("Conv", {e.Transpose(e.Tensor(windows.inputs[0]), kSwapLast), kernel, e.Input(2)},
                               {Attribute("kernel_shape", std::vector<int64_t>{attributes.kernel}),
                                Attribute("strides", std::vector<int64_t>{attributes.stride}),
                                Attribute("pads", std::vector<int64_t>{padding, padding})});
  e.Result(e.Transpose(y, kSwapLast));
}

void EmitLinear(Emission& e) {
  const graph::ValueId y = e.op().outputs[0];
  // A recurrent layer multiplies its input itself.
  if (AllRead(e.Readers(y), y, [](OpKind kind) { return kind == OpKind::kLstm || kind == OpKind::kGru; })) return;
  if (const graph::Op* maker = e.Maker(e.op().inputs[0]); maker != nullptr && maker->kind == OpKind::kWindows)
    return EmitConv1d(e, *maker);
  if (e.InputShape(0).rank() == 2)
    return e.Result(e.Node("Gemm", {e.Input(0), e.Input(1), e.Input(2)}, {Attribute("transB", 1)}));
  constexpr std::array<int, 2> kSwap = {1, 0};
  const std::string product = e.Node("MatMul", {e.Input(0), e.Transpose(e.Input(1), kSwap)});
  e.Result(e.Has(2) ? e.Node("Add", {product, e.Input(2)}) : product);
}

/// The linear layer behind it does the work.
void EmitWindows(Emission& e) {
  const graph::ValueId y = e.op().outputs[0];
  if (!AllRead(e.Readers(y), y, [](OpKind kind) { return kind == OpKind::kLinear; }))
    e.Fail("windows that something other than a linear layer reads can't be written");
}

std::vector<AttributeProto> ConvWindow(const graph::Conv2dAttributes& attributes, const Shape& weight) {
  return {Attribute("kernel_shape", std::vector<int64_t>{weight[2], weight[3]}), Pairs("strides", attributes.stride),
          Pads(attributes.padding), Pairs("dilations", attributes.dilation), Attribute("group", attributes.groups)};
}

void EmitConv2d(Emission& e) {
  const auto& attributes = e.op().as<graph::Conv2dAttributes>();
  e.Result(e.Node("Conv", {e.Input(0, Order::kChannelsFirst), e.Input(1), e.Input(2)},
                  ConvWindow(attributes, e.InputShape(1))),
           Order::kChannelsFirst);
}

/// In a forward graph: a transposed convolution.
void EmitConvTranspose(Emission& e) {
  const auto& attributes = e.op().as<graph::Conv2dAttributes>();
  const Shape &dy = e.InputShape(0), &weight = e.InputShape(1), &x = e.ResultShape();
  const auto rest = [&](int axis, int stride, int padding, int dilation) {
    const int64_t least = (dy[axis] - 1) * stride - 2 * padding + dilation * (weight[axis + 1] - 1) + 1;
    return x[axis] - least;
  };
  std::vector<AttributeProto> window = ConvWindow(attributes, weight);
  window.push_back(Attribute(
      "output_padding",
      std::vector<int64_t>{rest(1, attributes.stride.height, attributes.padding.height, attributes.dilation.height),
                           rest(2, attributes.stride.width, attributes.padding.width, attributes.dilation.width)}));
  e.Result(e.Node("ConvTranspose", {e.Input(0, Order::kChannelsFirst), e.Input(1)}, std::move(window)),
           Order::kChannelsFirst);
}

std::vector<AttributeProto> PoolWindow(const graph::Pool2dAttributes& attributes) {
  return {Pairs("kernel_shape", attributes.kernel), Pairs("strides", attributes.stride), Pads(attributes.padding)};
}

void EmitMaxPool(Emission& e) {
  e.Result(e.Node("MaxPool", {e.Input(0, Order::kChannelsFirst)}, PoolWindow(e.op().as<graph::Pool2dAttributes>())),
           Order::kChannelsFirst);
}

/// Padded cells don't count, here as by default there.
void EmitAveragePool(Emission& e) {
  e.Result(e.Node("AveragePool", {e.Input(0, Order::kChannelsFirst)}, PoolWindow(e.op().as<graph::Pool2dAttributes>())),
           Order::kChannelsFirst);
}

void EmitGlobalAveragePool(Emission& e) {
  const std::string y = e.Node("GlobalAveragePool", {e.Input(0, Order::kChannelsFirst)});
  e.Result(e.Node("Flatten", {y}));
}

void EmitFlatten(Emission& e) { e.Result(e.Node("Flatten", {e.Input(0, Order::kChannelsFirst)})); }

constexpr EmitterRow kRows[] = {
    {OpKind::kLinear, EmitLinear},
    {OpKind::kWindows, EmitWindows},
    {OpKind::kConv2d, EmitConv2d},
    {OpKind::kConv2dInputGrad, EmitConvTranspose},
    {OpKind::kMaxPool2d, EmitMaxPool},
    {OpKind::kAveragePool2d, EmitAveragePool},
    {OpKind::kGlobalAveragePool, EmitGlobalAveragePool},
    {OpKind::kFlatten, EmitFlatten},
};

}  // namespace

std::span<const EmitterRow> LayerEmitters() { return kRows; }

}  // namespace lockstep::onnx
