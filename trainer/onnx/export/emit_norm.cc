// Ops that normalise.
#include "trainer/onnx/export/emitters.h"

namespace lockstep::onnx {
namespace {

using graph::OpKind;

/// Channels stand second there: images have such an order, of other values the last dimension is moved.
void EmitBatchNorm(Emission& e) {
  const int rank = e.InputShape(0).rank();
  const AttributeProto epsilon = Attribute("epsilon", e.op().as<graph::NormAttributes>().epsilon);
  const auto norm = [&](const std::string& x) {
    return e.Node("BatchNormalization", {x, e.Input(1), e.Input(2), e.Input(3), e.Input(4)}, {epsilon});
  };
  if (rank == 4) return e.Result(norm(e.Input(0, Order::kChannelsFirst)), Order::kChannelsFirst);
  if (rank == 2) return e.Result(norm(e.Input(0)));
  std::vector<int> there{0, rank - 1}, back{0};
  for (int i = 1; i < rank - 1; ++i) there.push_back(i);
  for (int i = 2; i < rank; ++i) back.push_back(i);
  back.push_back(1);
  e.Result(e.Transpose(norm(e.Transpose(e.Input(0), there)), back));
}

void EmitLayerNorm(Emission& e) {
  e.Result(e.Node("LayerNormalization", {e.Input(0), e.Input(1), e.Input(2)},
                  {Attribute("axis", -1), Attribute("epsilon", e.op().as<graph::NormAttributes>().epsilon)}));
}

/// Squares of halves would overflow: their mean is made of 32 bits.
void EmitRmsNorm(Emission& e) {
  const auto number = [&](float value) { return e.writer().Floats({&value, 1}, {}, /*wide=*/true); };
  const std::string x = e.Wide(e.Input(0));
  const std::string squares = e.Node("Pow", {x, number(2)});
  const std::string mean =
      e.Node("ReduceMean", {squares}, {Attribute("axes", std::vector<int64_t>{-1}), Attribute("keepdims", 1)});
  const std::string rms = e.Node("Sqrt", {e.Node("Add", {mean, number(e.op().as<graph::NormAttributes>().epsilon)})});
  const std::string y = e.Narrow(e.Node("Div", {x, rms}));
  e.Result(e.Node("Mul", {y, e.Input(1)}));
}

/// PyTorch's spelling: groups are instances' channels, and the scale and bias by channel follow.
void EmitGroupNorm(Emission& e) {
  const auto& attributes = e.op().as<graph::GroupNormAttributes>();
  const int64_t groups = attributes.groups, channels = e.InputShape(0)[3];
  const std::vector<float> ones(static_cast<size_t>(groups), 1), zeros(static_cast<size_t>(groups), 0);
  const std::string x = e.Input(0, Order::kChannelsFirst);
  const std::string y =
      e.Node("InstanceNormalization",
             {e.Reshape(x, {0, groups, -1}), e.writer().Floats(ones, {groups}), e.writer().Floats(zeros, {groups})},
             {Attribute("epsilon", attributes.epsilon)});
  const std::vector<Size> ours = e.sizes().Of(e.op().inputs[0]);
  const std::vector<Size> first{ours[0], ours[3], ours[1], ours[2]};
  const std::string back = e.Reshape(y, std::vector<Size>{ours[0]}, first);
  const std::string scaled = e.Node("Mul", {back, e.Reshape(e.Input(1), {channels, 1, 1})});
  e.Result(e.Node("Add", {scaled, e.Reshape(e.Input(2), {channels, 1, 1})}), Order::kChannelsFirst);
}

constexpr EmitterRow kRows[] = {
    {OpKind::kBatchNormInfer, EmitBatchNorm},
    {OpKind::kLayerNorm, EmitLayerNorm},
    {OpKind::kRmsNorm, EmitRmsNorm},
    {OpKind::kGroupNorm, EmitGroupNorm},
};

}  // namespace

std::span<const EmitterRow> NormEmitters() { return kRows; }

}  // namespace lockstep::onnx
