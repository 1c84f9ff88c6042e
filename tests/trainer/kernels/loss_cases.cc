// Cases of losses and counters.
#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using graph::Activation;
using graph::OpKind;

// Losses.
struct LossGeometry {
  std::string name;
  int64_t n;
  int columns;
  float smoothing = 0;
  double scale = 2, offset = 0;
  int loss = 0;
};
const std::vector<LossGeometry> kCrossEntropies = {
    {"digits", 16, 10},
    {"batch 1", 1, 7},
    {"one class", 5, 1},
    {"many rows", 130, 5},
    {"smoothed", 33, 10, 0.1f},
    {"smoothed, odd", 3, 17, 0.3f, 2, 0, 2},
    {"many classes", 4, 1000, 0, 3},
    {"a vocabulary", 3, 50257, 0, 3},
    {"big logits", 6, 10, 0, 300},
    {"big logits, smoothed", 6, 10, 0.1f, 300},
    {"logits far from zero", 6, 10, 0, 1, 5000},
    {"logits far below zero", 6, 10, 0, 1, -5000},
};
Operand Logits(const LossGeometry& g) { return F({g.n, g.columns}).Scaled(g.scale, g.offset); }
OpCase CrossEntropyCase(const LossGeometry& g) {
  return {g.name, {Logits(g), Labels(g.n, g.columns)}, graph::LossAttributes{g.smoothing, g.loss}};
}
OpCase CrossEntropyGradCase(const LossGeometry& g) {
  return {g.name,
          {Logits(g), Labels(g.n, g.columns), ResultOf(OpKind::kSoftmaxCrossEntropy, {0, 1}, 1), Step()},
          graph::LossAttributes{g.smoothing, g.loss}};
}
OpCase CrossEntropyTrainCase(const LossGeometry& g) {
  return {g.name, {Logits(g), Labels(g.n, g.columns), Step()}, graph::LossAttributes{g.smoothing, g.loss}};
}
/// Weights of rows, of which some are 0 where `mask`.
Operand RowWeights(int64_t n, bool mask) {
  return {.fill = mask ? Fill::kMask : Fill::kPositive, .shape = {n}, .role = graph::Role::kInput};
}
template <typename MakeCase>
std::vector<OpCase> WeightedCases(MakeCase make_case) {
  std::vector<OpCase> cases;
  for (const LossGeometry& g : {LossGeometry{"weighted", 33, 10}, LossGeometry{"weighted, smoothed", 9, 17, 0.2f},
                                LossGeometry{"weighted, many classes", 4, 1000, 0.1f, 3}}) {
    for (const bool mixed : {false, true}) {
      for (const bool mask : {false, true}) {
        OpCase op_case = make_case(g);
        op_case.name += std::string(mixed ? ", mixed" : "") + (mask ? ", with zeros" : "");
        op_case.operands.push_back(RowWeights(g.n, mask));
        if (mixed) op_case.operands.push_back(Labels(g.n, g.columns));
        if (mixed) op_case.operands.push_back(RowWeights(g.n, !mask));
        cases.push_back(op_case);
      }
    }
  }
  return cases;
}
/// Several of the largest: the first counts.
OpCase TiesCase(const LossGeometry& g) {
  return {g.name + ", ties", {Steps({g.n, g.columns}), Labels(g.n, g.columns)}, graph::LossAttributes{g.smoothing, 0}};
}
const OpCase kCrossEntropy3d = {"places", {F({3, 5, 11}).Scaled(2), Ids({3, 5}, 11)}, graph::LossAttributes{0.1f, 0}};
const OpCase kCrossEntropyGrad3d = {
    "places",
    {F({3, 5, 11}).Scaled(2), Ids({3, 5}, 11), ResultOf(OpKind::kSoftmaxCrossEntropy, {0, 1}, 1), Step()},
    graph::LossAttributes{0.1f, 0}};
const OpCase kCrossEntropyTrain3d = {
    "places", {F({3, 5, 11}).Scaled(2), Ids({3, 5}, 11), Step()}, graph::LossAttributes{0.1f, 0}};
const OpCase kCrossEntropyTrainTies = {"ties", {Steps({70, 40}), Labels(70, 40), Step()}, graph::LossAttributes{0, 0}};
const std::vector<LossGeometry> kSquaredErrors = {
    {"one target", 16, 1}, {"batch 1", 1, 3}, {"odd", 13, 7}, {"second loss", 5, 4, 0, 2, 0, 1}, {"long", 2, 513}};
OpCase SquaredErrorCase(const LossGeometry& g) {
  return {g.name, {Logits(g), F({g.n, g.columns}), Mask({g.n})}, graph::LossAttributes{0, g.loss}};
}
OpCase SquaredErrorGradCase(const LossGeometry& g) {
  return {g.name, {Logits(g), F({g.n, g.columns}), Mask({g.n}), Step()}, graph::LossAttributes{0, g.loss}};
}

OpCase ArgMaxCase(const Shape& x) { return {x.ToString(), {F(x)}, graph::NoAttributes{}}; }
OpCase ArgMaxTiesCase(const Shape& x) { return {x.ToString() + ", ties", {Steps(x)}, graph::NoAttributes{}}; }
const std::vector<Shape> kArgMaxes = {{1, 1}, {5, 7}, {3, 4, 28}, {9, 16}, {130, 33}, {2, 1029}, {3, 50257}, {40}};

}  // namespace

std::vector<OpCase> CrossEntropyCases() {
  return Map(kCrossEntropies, CrossEntropyCase) + Map(kCrossEntropies, TiesCase) + std::vector{kCrossEntropy3d} +
         WeightedCases(CrossEntropyCase);
}
std::vector<OpCase> CrossEntropyGradCases() {
  return Map(kCrossEntropies, CrossEntropyGradCase) + std::vector{kCrossEntropyGrad3d} +
         WeightedCases(CrossEntropyGradCase);
}
std::vector<OpCase> CrossEntropyTrainCases() {
  return Map(kCrossEntropies, CrossEntropyTrainCase) + std::vector{kCrossEntropyTrain3d, kCrossEntropyTrainTies} +
         WeightedCases(CrossEntropyTrainCase);
}
std::vector<OpCase> SquaredErrorCases() { return Map(kSquaredErrors, SquaredErrorCase); }
std::vector<OpCase> SquaredErrorGradCases() { return Map(kSquaredErrors, SquaredErrorGradCase); }
std::vector<OpCase> ArgMaxCases() { return Map(kArgMaxes, ArgMaxCase) + Map(kArgMaxes, ArgMaxTiesCase); }

}  // namespace lockstep::conformance
