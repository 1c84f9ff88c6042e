// Cases of matrix products, convolutions and pooling.
#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"
#include "trainer/graph/op_table.h"

namespace lockstep::conformance {
namespace {

using graph::Activation;
using graph::OpKind;
using graph::Pair;

// Matrix products.
struct LinearGeometry {
  std::string name;
  int64_t rows, in, out;
  bool bias = true;
  Activation activation = Activation::kNone;
};
const std::vector<LinearGeometry> kLinears = {
    {"one by one", 1, 1, 1},
    {"batch 1", 1, 33, 17},
    {"odd", 7, 13, 5},
    {"no bias", 9, 31, 33, false},
    {"square", 32, 64, 64},
    {"one output", 19, 50, 1},
    {"deep", 5, 1025, 3},
    {"mnist head", 16, 784, 10},
    {"wide", 3, 10, 257},
    {"large", 100, 257, 129},
    {"relu", 6, 20, 30, true, Activation::kRelu},
    {"relu, no bias", 33, 65, 31, false, Activation::kRelu},
    {"gelu", 6, 20, 30, true, Activation::kGelu},
    {"silu", 6, 20, 30, true, Activation::kSilu},
    {"gelu by tanh", 6, 20, 30, true, Activation::kGeluTanh},
    {"tanh", 6, 20, 30, true, Activation::kTanh},
    {"sigmoid", 5, 21, 9, true, Activation::kSigmoid},
};
OpCase LinearCase(const LinearGeometry& g) {
  return {g.name,
          {F({g.rows, g.in}), Weight({g.out, g.in}), g.bias ? Weight({g.out}) : Absent()},
          graph::LinearAttributes{g.activation}};
}
OpCase LinearInputGradCase(const LinearGeometry& g) {
  return {g.name, {F({g.rows, g.out}), Weight({g.out, g.in})}, graph::LinearAttributes{}};
}
OpCase LinearWeightGradCase(const LinearGeometry& g) {
  return {g.name,
          {F({g.rows, g.out}), F({g.rows, g.in})},
          graph::LinearAttributes{},
          g.bias ? std::vector<int>{} : std::vector{1}};
}

// Rows may have several dimensions.
const OpCase kLinear3d = {"three dimensions", {F({2, 3, 5}), Weight({4, 5}), Weight({4})}, graph::LinearAttributes{}};
const OpCase kLinearInputGrad3d = {"three dimensions", {F({2, 3, 4}), Weight({4, 5})}, graph::LinearAttributes{}};
const OpCase kLinearWeightGrad3d = {"three dimensions", {F({2, 3, 4}), F({2, 3, 5})}, graph::LinearAttributes{}};

// Convolutions.
struct ConvGeometry {
  std::string name;
  int64_t n, h, w, in, out;
  Pair kernel, stride = 1, padding = 0;
  int groups = 1;
  bool bias = true;
  Activation activation = Activation::kNone;
  Pair dilation = 1;

  graph::Conv2dAttributes Attributes(Shape result) const {
    return {stride, padding, groups, activation, result, dilation};
  }
  Shape X() const { return {n, h, w, in}; }
  Shape WeightShape() const { return {out, in / groups, kernel.height, kernel.width}; }
  Shape Y() const {
    return {n, graph::WindowOutput(h, kernel.height, stride.height, padding.height, dilation.height),
            graph::WindowOutput(w, kernel.width, stride.width, padding.width, dilation.width), out};
  }
};
const std::vector<ConvGeometry> kConvs = {
    {"1x1", 2, 5, 5, 8, 16, 1},
    {"3x3 padded", 2, 8, 8, 16, 16, 3, 1, 1},
    {"no bias", 2, 8, 8, 16, 32, 3, 1, 1, 1, false},
    {"batch 1, odd", 1, 7, 9, 3, 5, 3, 1, 1},
    {"one pixel", 1, 1, 1, 4, 4, 3, 1, 1},
    {"first layer, grey", 3, 14, 14, 1, 32, 5},
    {"first layer, colour", 2, 12, 12, 3, 16, 3, 1, 1, 1, false},
    {"stride 2", 2, 9, 9, 16, 32, 3, 2, 1, 1, false},
    {"stride 2, even", 2, 8, 8, 16, 32, 3, 2, 1},
    {"1x1 stride 2", 2, 8, 8, 16, 32, 1, 2, 0, 1, false},
    {"7x7 stride 2", 1, 16, 16, 3, 8, 7, 2, 3},
    {"stride 3, cells unused", 2, 10, 11, 4, 8, 2, 3},
    {"2 groups", 2, 6, 6, 8, 12, 3, 1, 1, 2},
    {"2 groups of 16", 2, 6, 6, 32, 32, 3, 1, 1, 2, false},
    {"odd groups", 2, 5, 6, 9, 6, 3, 2, 1, 3},
    {"depthwise", 2, 7, 7, 16, 16, 3, 1, 1, 16},
    {"depthwise, odd", 1, 7, 7, 7, 7, 3, 1, 1, 7, false},
    {"odd channels", 3, 6, 5, 13, 19, 3, 1, 2},
    {"large", 1, 14, 14, 48, 40, 3, 1, 1, 1, false},
    {"relu", 2, 6, 6, 8, 16, 3, 1, 1, 1, true, Activation::kRelu},
    {"relu, no bias", 2, 6, 6, 8, 16, 3, 1, 1, 1, false, Activation::kRelu},
    {"tanh", 2, 6, 6, 8, 16, 3, 1, 1, 1, true, Activation::kTanh},
    {"sigmoid", 2, 6, 6, 8, 16, 3, 1, 1, 1, true, Activation::kSigmoid},
    {"gelu", 2, 6, 6, 8, 16, 3, 1, 1, 1, true, Activation::kGelu},
    {"silu", 2, 6, 6, 8, 16, 3, 1, 1, 1, true, Activation::kSilu},
    {"1x7", 2, 5, 9, 8, 16, {1, 7}, 1, {0, 3}, 1, false},
    {"7x1", 1, 9, 5, 5, 7, {7, 1}, 1, {3, 0}},
    {"3x5, stride 2x1", 2, 9, 8, 6, 10, {3, 5}, {2, 1}, {1, 2}},
    {"stride 1x3, padded along", 1, 6, 11, 3, 8, 3, {1, 3}, {0, 2}},
    {"dilation 2", 2, 9, 7, 16, 8, 3, 1, 2, 1, false, Activation::kNone, 2},
    {"dilation 2x1, odd", 1, 11, 6, 3, 5, {3, 2}, {2, 1}, {2, 0}, 1, true, Activation::kNone, {2, 1}},
    {"dilation 1x3, 64 channels", 2, 7, 9, 64, 16, 3, 1, {1, 3}, 1, true, Activation::kNone, {1, 3}},
    {"dilation 4 beyond the image", 1, 5, 6, 64, 8, 3, 1, 4, 1, false, Activation::kNone, 4},
    {"3 groups, dilation 2", 2, 8, 7, 9, 6, 3, {1, 2}, 2, 3, true, Activation::kNone, 2},
    {"depthwise, stride 2x1", 2, 9, 7, 24, 24, 3, {2, 1}, 1, 24, false},
    {"depthwise, 5x5, stride 2", 1, 11, 10, 40, 40, 5, 2, 2, 40},
    {"depthwise, 3x5, dilation 2", 2, 9, 12, 17, 17, {3, 5}, 1, {2, 4}, 17, true, Activation::kNone, 2},
    {"depthwise, relu", 2, 6, 6, 33, 33, 3, 1, 1, 33, true, Activation::kRelu},
    {"depthwise, silu", 2, 6, 6, 8, 8, 3, 1, 1, 8, true, Activation::kSilu},
    {"depthwise, window larger than the image", 1, 2, 3, 16, 16, 5, 1, 2, 16},
    {"two filters a channel", 2, 7, 6, 8, 16, 3, 1, 1, 8},
};
OpCase ConvCase(const ConvGeometry& g) {
  return {g.name, {F(g.X()), Weight(g.WeightShape()), g.bias ? Weight({g.out}) : Absent()}, g.Attributes({})};
}
OpCase ConvInputGradCase(const ConvGeometry& g) {
  return {g.name, {F(g.Y()), Weight(g.WeightShape())}, g.Attributes(g.X())};
}
/// Weights that other ops make are no parameters: nobody packs them for the kernel.
OpCase ConvComputedWeightCase(const ConvGeometry& g) {
  return {g.name + ", computed weight", {F(g.X()), F(g.WeightShape()), Absent()}, g.Attributes({})};
}
OpCase ConvInputGradComputedWeightCase(const ConvGeometry& g) {
  return {g.name + ", computed weight", {F(g.Y()), F(g.WeightShape())}, g.Attributes(g.X())};
}
OpCase ConvWeightGradCase(const ConvGeometry& g) {
  return {g.name, {F(g.Y()), F(g.X())}, g.Attributes(g.WeightShape()), g.bias ? std::vector<int>{} : std::vector{1}};
}
/// Gradient ops take dy from behind the activation: theirs is never fused.
std::vector<ConvGeometry> Unfused(std::vector<ConvGeometry> geometries) {
  std::erase_if(geometries, [](const ConvGeometry& g) { return g.activation != Activation::kNone; });
  return geometries;
}
std::vector<LinearGeometry> Unfused(std::vector<LinearGeometry> geometries) {
  std::erase_if(geometries, [](const LinearGeometry& g) { return g.activation != Activation::kNone; });
  return geometries;
}

// Pooling.
struct PoolGeometry {
  std::string name;
  int64_t n, h, w, c;
  Pair kernel, stride, padding = 0;

  Shape X() const { return {n, h, w, c}; }
  Shape Y() const {
    return {n, graph::WindowOutput(h, kernel.height, stride.height, padding.height),
            graph::WindowOutput(w, kernel.width, stride.width, padding.width), c};
  }
};
const std::vector<PoolGeometry> kPools = {
    {"halves", 2, 8, 8, 16, 2, 2},
    {"batch 1, odd", 1, 7, 9, 3, 2, 2},
    {"overlapping", 2, 9, 8, 5, 3, 2, 1},
    {"padded", 2, 6, 6, 32, 3, 1, 1},
    {"gaps", 2, 11, 10, 4, 2, 3},
    {"one pixel", 1, 1, 1, 1, 1, 1},
    {"whole image", 3, 5, 5, 17, 5, 5},
    {"1x7", 2, 4, 9, 8, {1, 7}, 1, {0, 3}},
    {"3x2, stride 2x3", 2, 9, 10, 13, {3, 2}, {2, 3}, {1, 0}},
    {"2x3, gaps along", 1, 7, 11, 8, {2, 3}, {1, 4}, {1, 2}},
    {"32x8, disjoint", 1, 33, 9, 3, {32, 8}, {32, 8}},
};
OpCase PoolCase(const PoolGeometry& g) {
  return {g.name, {F(g.X())}, graph::Pool2dAttributes{g.kernel, g.stride, g.padding, {}}};
}
OpCase MaxPoolTiesCase(const PoolGeometry& g) {
  return {g.name + ", ties", {Steps(g.X())}, graph::Pool2dAttributes{g.kernel, g.stride, g.padding, {}}};
}
OpCase MaxPoolAloneCase(const PoolGeometry& g) {
  return {g.name + ", no index", {F(g.X())}, graph::Pool2dAttributes{g.kernel, g.stride, g.padding, {}}, {1}};
}
OpCase MaxPoolGradCase(const PoolGeometry& g) {
  return {g.name,
          {F(g.Y()), ResultOf(OpKind::kMaxPool2d, {2}, 1), Hidden(F(g.X()))},
          graph::Pool2dAttributes{g.kernel, g.stride, g.padding, g.X()}};
}
OpCase AveragePoolGradCase(const PoolGeometry& g) {
  return {g.name, {F(g.Y())}, graph::Pool2dAttributes{g.kernel, g.stride, g.padding, g.X()}};
}
const std::vector<Shape> kImages = {{2, 4, 4, 8}, {1, 1, 1, 1}, {3, 5, 7, 17}, {1, 7, 7, 64}};
OpCase GlobalPoolCase(const Shape& x) { return {x.ToString(), {F(x)}, graph::NoAttributes{}}; }
OpCase GlobalPoolGradCase(const Shape& x) { return {x.ToString(), {F({x[0], x[3]})}, graph::ReshapeAttributes{x}}; }

}  // namespace

std::vector<OpCase> LinearCases() { return Map(kLinears, LinearCase) + std::vector{kLinear3d}; }
std::vector<OpCase> LinearInputGradCases() {
  return Map(Unfused(kLinears), LinearInputGradCase) + std::vector{kLinearInputGrad3d};
}
std::vector<OpCase> LinearWeightGradCases() {
  return Map(Unfused(kLinears), LinearWeightGradCase) + std::vector{kLinearWeightGrad3d};
}
std::vector<OpCase> ConvCases() { return Map(kConvs, ConvCase) + Map(Unfused(kConvs), ConvComputedWeightCase); }
std::vector<OpCase> ConvInputGradCases() {
  return Map(Unfused(kConvs), ConvInputGradCase) + Map(Unfused(kConvs), ConvInputGradComputedWeightCase);
}
std::vector<OpCase> ConvWeightGradCases() { return Map(Unfused(kConvs), ConvWeightGradCase); }
std::vector<OpCase> MaxPoolCases() {
  return Map(kPools, PoolCase) + Map(kPools, MaxPoolTiesCase) + Map(kPools, MaxPoolAloneCase);
}
std::vector<OpCase> MaxPoolGradCases() { return Map(kPools, MaxPoolGradCase); }
std::vector<OpCase> AveragePoolCases() { return Map(kPools, PoolCase); }
std::vector<OpCase> AveragePoolGradCases() { return Map(kPools, AveragePoolGradCase); }
std::vector<OpCase> GlobalPoolCases() { return Map(kImages, GlobalPoolCase); }
std::vector<OpCase> GlobalPoolGradCases() { return Map(kImages, GlobalPoolGradCase); }

}  // namespace lockstep::conformance
