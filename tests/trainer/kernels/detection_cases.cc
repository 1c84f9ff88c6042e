// Cases of losses of object detection.
#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using graph::OpKind;

/// An operand that is float whatever the activations are.
Operand Single(Operand operand) {
  operand.role = graph::Role::kInput;
  return operand;
}

struct FocalGeometry {
  std::string name;
  Shape logits;
  bool labels = false;
  graph::FocalAttributes attributes = {};
  double scale = 2;
  bool weights = false;  ///< of rows, instead of a mask

  int64_t n() const { return logits[0]; }
  Shape cells() const { return Shape(logits.dims().first(static_cast<size_t>(logits.rank() - 1))); }
};
const std::vector<FocalGeometry> kFocalLosses = {
    {"map", {2, 5, 7, 3}},
    {"batch 1", {1, 3}},
    {"one class", {3, 4, 4, 1}},
    {"labels", {3, 4, 5, 6}, true},
    {"many", {4, 13, 17, 3}},
    {"labels, many", {3, 30, 7, 5}, true},
    {"many classes", {1, 2, 1300}, true},
    {"factors", {5, 6, 2}, true, {.positive = 0.25f, .negative = 0.75f, .loss = 1}},
    {"weights", {4, 6, 3}, false, {.loss = 2}, 2, true},
    {"clamped", {2, 9, 8, 3}, false, {.clamp = 1e-4f}, 10},
    {"clamped hard", {2, 9, 8, 3}, true, {.clamp = 0.25f}},
    {"far from zero", {2, 9, 8, 3}, false, {}, 60},
    {"far from zero, labels", {2, 9, 8, 3}, true, {}, 60},
};
OpCase FocalCase(const FocalGeometry& g) {
  const Operand target = g.labels ? Ids(g.cells(), static_cast<int>(g.logits[-1])) : Single(Steps(g.logits));
  const Operand mask = g.weights ? Positive({g.n()}) : Mask({g.n()});
  return {g.name, {F(g.logits).Scaled(g.scale), target, mask}, g.attributes};
}
OpCase FocalGradCase(const FocalGeometry& g) {
  OpCase op_case = FocalCase(g);
  op_case.operands.push_back(Step());
  return op_case;
}

struct BoxGeometry {
  std::string name;
  Shape sides;
  graph::BoxLossAttributes attributes = {};
  double scale = 1;
  bool ties = false;
  bool weights = false;  ///< of cells, instead of a mask

  Shape cells() const { return Shape(sides.dims().first(static_cast<size_t>(sides.rank() - 1))); }
};
const std::vector<BoxGeometry> kBoxLosses = {
    {"map", {2, 5, 7, 4}},
    {"batch 1", {1, 4}, {}, 1, false, true},
    {"many", {3, 21, 19, 4}, {.factor = 2, .loss = 1}},
    {"weights", {5, 9, 4}, {}, 1, false, true},
    {"above the highest", {2, 6, 6, 4}, {}, 4},
    {"relu", {2, 5, 7, 4}, {.exponential = false, .factor = 0.5f, .loss = 2}, 2, false, true},
    {"relu, ties", {3, 7, 5, 4}, {.exponential = false}, 1, true},
    {"exponential, ties", {3, 7, 5, 4}, {}, 1, true, true},
};
/// Ties: exp(0) = 1 is among the targets, and all of relu's are.
OpCase BoxCase(const BoxGeometry& g) {
  const double offset = g.ties && !g.attributes.exponential ? 0.5 : 0;
  const Operand sides = g.ties ? Steps(g.sides) : F(g.sides);
  const Operand target = g.ties ? Steps(g.sides).Scaled(0.5, 1) : Positive(g.sides);
  const Operand weight = g.weights ? Positive(g.cells()) : Mask(g.cells());
  return {g.name, {sides.Scaled(g.scale, offset), Single(target), weight}, g.attributes};
}
OpCase BoxGradCase(const BoxGeometry& g) {
  OpCase op_case = BoxCase(g);
  op_case.operands.push_back(Step());
  return op_case;
}

struct CrossEntropyGeometry {
  std::string name;
  Shape logits;
  double scale = 2;
  bool mask = false;  ///< of elements, instead of weights
  int loss = 0;
};
const std::vector<CrossEntropyGeometry> kCrossEntropies = {
    {"batch 1", {1, 1}},
    {"row", {7}},
    {"map", {2, 5, 7, 1}, 2, true},
    {"many", {3, 21, 19, 1}},
    {"many, one row", {1, 9001}, 2, true, 1},
    {"far from zero", {4, 9, 3}, 60, false, 2},
};
OpCase CrossEntropyCase(const CrossEntropyGeometry& g) {
  const Operand target = Single(Steps(g.logits).Scaled(0.5, 0.5));
  const Operand weight = g.mask ? Mask(g.logits) : Positive(g.logits);
  return {g.name, {F(g.logits).Scaled(g.scale), target, weight}, graph::LossAttributes{0, g.loss}};
}
OpCase CrossEntropyGradCase(const CrossEntropyGeometry& g) {
  OpCase op_case = CrossEntropyCase(g);
  op_case.operands.push_back(Step());
  return op_case;
}

}  // namespace

std::vector<OpCase> FocalLossCases() { return Map(kFocalLosses, FocalCase); }
std::vector<OpCase> FocalLossGradCases() { return Map(kFocalLosses, FocalGradCase); }
std::vector<OpCase> BoxLossCases() { return Map(kBoxLosses, BoxCase); }
std::vector<OpCase> BoxLossGradCases() { return Map(kBoxLosses, BoxGradCase); }
std::vector<OpCase> SigmoidCrossEntropyCases() { return Map(kCrossEntropies, CrossEntropyCase); }
std::vector<OpCase> SigmoidCrossEntropyGradCases() { return Map(kCrossEntropies, CrossEntropyGradCase); }

}  // namespace lockstep::conformance
