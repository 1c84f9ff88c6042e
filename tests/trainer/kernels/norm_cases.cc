// Cases of norms.
#include "base/error.h"
#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using graph::Activation;
using graph::OpKind;

// Norms. Batches of one image are fine as long as it has several cells.
struct NormGeometry {
  std::string name;
  Shape x;
  double offset = 0;
  float epsilon = 1e-5f;
  Activation activation = Activation::kNone;

  Shape C() const { return {x[-1]}; }
  graph::NormAttributes Attributes() const { return {epsilon, activation}; }
};
const std::vector<NormGeometry> kBatchNorms = {
    {"images", {4, 5, 5, 16}},
    {"features", {32, 10}},
    {"odd", {3, 3, 5, 7}},
    {"two rows", {2, 9}},
    {"one image, one channel", {1, 6, 6, 1}},
    {"many rows", {8, 16, 16, 3}},
    {"mean far from zero", {4, 8, 8, 8}, 30},
    {"wide", {16, 3, 3, 100}},
    {"large epsilon", {4, 4, 4, 8}, 0, 1e-3f},
    {"relu", {4, 5, 5, 16}, 0, 1e-5f, Activation::kRelu},
    {"relu, odd", {3, 3, 5, 7}, 1, 1e-5f, Activation::kRelu},
};
OpCase BatchNormTrainCase(const NormGeometry& g) {
  return {g.name, {F(g.x).Scaled(1.5, g.offset), Weight(g.C()), Weight(g.C())}, g.Attributes()};
}
OpCase BatchNormInferCase(const NormGeometry& g) {
  return {g.name,
          {F(g.x).Scaled(1.5, g.offset), Weight(g.C()), Weight(g.C()), F(g.C()).Scaled(1, g.offset), Positive(g.C())},
          g.Attributes()};
}
OpCase BatchNormGradCase(const NormGeometry& g) {
  const auto forward = [](int output) { return ResultOf(OpKind::kBatchNormTrain, {1, 2, 6}, output); };
  return {g.name,
          {F(g.x), F(g.x).Scaled(1.5, g.offset), Weight(g.C()), forward(1), forward(3),
           g.activation == Activation::kNone ? Absent() : forward(0), Hidden(Weight(g.C()))},
          g.Attributes()};
}
/// The relu's mask follows from x and the bias.
OpCase BatchNormGradOfInputCase(const NormGeometry& g) {
  OpCase op_case = BatchNormGradCase(g);
  op_case.name += ", without y";
  op_case.operands[5] = Absent();
  op_case.operands[6].hidden = false;
  return op_case;
}
const std::vector<NormGeometry> kLayerNorms = {
    {"batch 1", {1, 16}},
    {"odd", {5, 13}},
    {"three dimensions", {2, 3, 64}},
    {"long rows", {3, 769}},
    {"two columns", {7, 2}},
    {"images", {2, 3, 3, 8}},
    {"mean far from zero", {4, 96}, 30},
    {"large epsilon", {6, 20}, 0, 1e-2f},
    {"many rows", {70, 19}},
};
OpCase BatchNormInferGradCase(const NormGeometry& g) {
  return {g.name, {F(g.x), Weight(g.C()), Positive(g.C())}, graph::NormAttributes{g.epsilon, Activation::kNone}};
}

struct GroupGeometry {
  std::string name;
  Shape x;
  int groups;
  double offset = 0;
  float epsilon = 1e-5f;

  Shape C() const { return {x[-1]}; }
  graph::GroupNormAttributes Attributes() const { return {groups, epsilon}; }
};
const std::vector<GroupGeometry> kGroupNorms = {
    {"images", {3, 5, 6, 16}, 2},
    {"one cell", {2, 1, 1, 12}, 3},
    {"one group", {2, 4, 3, 7}, 1},
    {"a group for each channel", {2, 7, 5, 9}, 9},
    {"odd", {3, 5, 3, 15}, 5},
    {"many cells", {1, 24, 26, 6}, 2},
    {"many channels", {2, 3, 3, 160}, 32},
    {"mean far from zero", {2, 6, 6, 24}, 3, 30},
    {"large epsilon", {2, 4, 4, 8}, 2, 0, 1e-2f},
};
OpCase GroupNormCase(const GroupGeometry& g) {
  return {g.name, {F(g.x).Scaled(1.5, g.offset), Weight(g.C()), Weight(g.C())}, g.Attributes()};
}
OpCase GroupNormAloneCase(const GroupGeometry& g) {
  return {g.name + ", y alone", {F(g.x), Weight(g.C()), Weight(g.C())}, g.Attributes(), {1, 2}};
}
OpCase GroupNormGradCase(const GroupGeometry& g) {
  const auto forward = [](int output) { return ResultOf(OpKind::kGroupNorm, {1, 2, 2}, output); };
  return {g.name, {F(g.x), F(g.x).Scaled(1.5, g.offset), Weight(g.C()), forward(1), forward(2)}, g.Attributes()};
}
/// Layers before it are frozen, or its own parameters.
OpCase GroupNormGradAloneCase(const GroupGeometry& g, std::vector<int> unwanted) {
  OpCase op_case = GroupNormGradCase(g);
  for (const int i : unwanted) op_case.name += ", without " + std::to_string(i);
  op_case.unwanted = std::move(unwanted);
  return op_case;
}
OpCase LayerNormCase(const NormGeometry& g) { return BatchNormTrainCase(g); }
OpCase LayerNormAloneCase(const NormGeometry& g) {
  return {g.name + ", y alone", {F(g.x), Weight(g.C()), Weight(g.C())}, g.Attributes(), {1, 2}};
}
OpCase LayerNormGradCase(const NormGeometry& g) {
  const auto forward = [](int output) { return ResultOf(OpKind::kLayerNorm, {1, 2, 2}, output); };
  return {g.name, {F(g.x), F(g.x).Scaled(1.5, g.offset), Weight(g.C()), forward(1), forward(2)}, g.Attributes()};
}
OpCase LayerNormWithoutBiasCase(const NormGeometry& g) {
  return {g.name + ", no bias", {F(g.x).Scaled(1.5, g.offset), Weight(g.C()), Absent()}, g.Attributes()};
}
OpCase LayerNormGradWithoutBiasCase(const NormGeometry& g) {
  OpCase op_case = LayerNormGradCase(g);
  op_case.name += ", no bias";
  op_case.unwanted = {2};
  return op_case;
}
OpCase RmsNormCase(const NormGeometry& g) {
  return {g.name, {F(g.x).Scaled(1.5, g.offset), Weight(g.C())}, g.Attributes()};
}
OpCase RmsNormAloneCase(const NormGeometry& g) {
  return {g.name + ", y alone", {F(g.x), Weight(g.C())}, g.Attributes(), {1}};
}
OpCase RmsNormGradCase(const NormGeometry& g) {
  return {g.name,
          {F(g.x), F(g.x).Scaled(1.5, g.offset), Weight(g.C()), ResultOf(OpKind::kRmsNorm, {1, 2}, 1)},
          g.Attributes()};
}

// Sums of two, and gradients that are added to.
OpCase WithASummand(OpCase op_case) {
  op_case.operands.insert(op_case.operands.begin(), op_case.operands.front().Scaled(1.25));
  for (Operand& operand : op_case.operands)
    for (int& source : operand.source_operands) ++source;
  for (int& result : op_case.unwanted) ++result;
  return op_case;
}
OpCase WithADsum(const NormGeometry& g, OpCase op_case) {
  const std::vector<int> unwanted = op_case.unwanted;
  op_case = WithASummand(std::move(op_case));
  op_case.operands.front() = F(g.x);
  op_case.unwanted = unwanted;
  return op_case;
}
OpCase BatchNormAddTrainCase(const NormGeometry& g) {
  OpCase op_case = BatchNormTrainCase(g);
  op_case.operands.insert(op_case.operands.begin() + 1, F(g.x).Scaled(1.25));
  return op_case;
}
/// What lets the gradient through: y, the bias, or neither where there is no activation.
OpCase BatchNormAddGradCase(const NormGeometry& g, bool other, bool of_input) {
  const auto forward = [&](int output) { return ResultOf(OpKind::kBatchNormAddTrain, {2, 8, 3, 7}, output); };
  const bool relu = g.activation == Activation::kRelu;
  const Operand bias = Weight(g.C());
  return {g.name + (other ? "" : ", one dy") + (of_input ? ", without y" : ""),
          {F(g.x), other ? F(g.x).Scaled(0.75) : Absent(), F(g.x).Scaled(1.5, g.offset), Weight(g.C()), forward(1),
           forward(3), relu && !of_input ? forward(0) : Absent(), relu && of_input ? bias : Hidden(bias),
           Hidden(F(g.x).Scaled(1.25))},
          g.Attributes()};
}
/// Rows that threads keep to themselves, at full length, and rows that are longer than that.
const std::vector<NormGeometry> kSummedNorms = [] {
  std::vector<NormGeometry> norms = kLayerNorms;
  for (const int64_t size : {768, 1024, 4096, 8192, 8200})
    norms.push_back({fmt::format("rows of {}", size), {3, size}});
  return norms;
}();

}  // namespace

std::vector<OpCase> AddLayerNormCases() {
  return Map(kSummedNorms, [](const NormGeometry& g) { return WithASummand(LayerNormCase(g)); }) +
         Map(kLayerNorms, [](const NormGeometry& g) { return WithASummand(LayerNormAloneCase(g)); }) +
         Map(kLayerNorms, [](const NormGeometry& g) { return WithASummand(LayerNormWithoutBiasCase(g)); });
}
std::vector<OpCase> AddLayerNormGradCases() {
  return Map(kSummedNorms, [](const NormGeometry& g) { return WithADsum(g, LayerNormGradCase(g)); }) +
         Map(kLayerNorms, [](const NormGeometry& g) { return WithADsum(g, LayerNormGradWithoutBiasCase(g)); });
}
std::vector<OpCase> AddRmsNormCases() {
  return Map(kSummedNorms, [](const NormGeometry& g) { return WithASummand(RmsNormCase(g)); }) +
         Map(kLayerNorms, [](const NormGeometry& g) { return WithASummand(RmsNormAloneCase(g)); });
}
std::vector<OpCase> AddRmsNormGradCases() {
  return Map(kSummedNorms, [](const NormGeometry& g) { return WithADsum(g, RmsNormGradCase(g)); });
}
std::vector<OpCase> BatchNormAddTrainCases() { return Map(kBatchNorms, BatchNormAddTrainCase); }
std::vector<OpCase> BatchNormAddGradCases() {
  std::vector<OpCase> cases =
      Map(kBatchNorms, [](const NormGeometry& g) { return BatchNormAddGradCase(g, true, false); });
  for (const NormGeometry& g : kBatchNorms) {
    if (g.activation != Activation::kRelu) continue;
    cases.push_back(BatchNormAddGradCase(g, false, false));
    for (const bool other : {false, true}) cases.push_back(BatchNormAddGradCase(g, other, true));
  }
  return cases;
}
std::vector<OpCase> BatchNormTrainCases() { return Map(kBatchNorms, BatchNormTrainCase); }
std::vector<OpCase> BatchNormInferCases() { return Map(kBatchNorms, BatchNormInferCase); }
std::vector<OpCase> BatchNormGradCases() {
  std::vector<NormGeometry> fused;
  for (const NormGeometry& g : kBatchNorms)
    if (g.activation == Activation::kRelu) fused.push_back(g);
  return Map(kBatchNorms, BatchNormGradCase) + Map(fused, BatchNormGradOfInputCase);
}
std::vector<OpCase> BatchNormInferGradCases() { return Map(kBatchNorms, BatchNormInferGradCase); }
std::vector<OpCase> GroupNormCases() { return Map(kGroupNorms, GroupNormCase) + Map(kGroupNorms, GroupNormAloneCase); }
std::vector<OpCase> GroupNormGradCases() {
  return Map(kGroupNorms, GroupNormGradCase) + std::vector{GroupNormGradAloneCase(kGroupNorms[0], {0}),
                                                           GroupNormGradAloneCase(kGroupNorms[0], {1, 2}),
                                                           GroupNormGradAloneCase(kGroupNorms[4], {2})};
}
std::vector<OpCase> LayerNormCases() {
  return Map(kLayerNorms, LayerNormCase) + Map(kLayerNorms, LayerNormAloneCase) +
         Map(kLayerNorms, LayerNormWithoutBiasCase);
}
std::vector<OpCase> LayerNormGradCases() {
  return Map(kLayerNorms, LayerNormGradCase) + Map(kLayerNorms, LayerNormGradWithoutBiasCase);
}
std::vector<OpCase> RmsNormCases() { return Map(kLayerNorms, RmsNormCase) + Map(kLayerNorms, RmsNormAloneCase); }
std::vector<OpCase> RmsNormGradCases() { return Map(kLayerNorms, RmsNormGradCase); }

}  // namespace lockstep::conformance
