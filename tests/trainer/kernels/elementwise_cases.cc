// Cases of elementwise ops and movements.
#include <fmt/format.h>

#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using graph::Activation;
using graph::OpKind;

const std::vector<Activation> kActivations = {Activation::kRelu, Activation::kGelu,    Activation::kSilu,
                                              Activation::kTanh, Activation::kSigmoid, Activation::kGeluTanh};
const std::vector<Shape> kImages = {{2, 4, 4, 8}, {1, 1, 1, 1}, {3, 5, 7, 17}, {1, 7, 7, 64}};
const std::vector<OpCase> kDropouts = {
    {"half", {F({5, 37}), Step()}, graph::DropoutAttributes{0.5f, 3}},
    {"a tenth", {F({3, 4, 5, 6}), Step()}, graph::DropoutAttributes{0.1f, 1}},
    {"most, batch 1", {F({1, 1000}), Step()}, graph::DropoutAttributes{0.9f, 0xFFFFFFFFu}},
    {"none", {F({2, 9}), Step()}, graph::DropoutAttributes{0.0f, 2}},
    {"one element a row", {F({33, 1}), Step()}, graph::DropoutAttributes{0.3f, 7}},
};

// Movements.
OpCase FlattenCase(const Shape& x) { return {x.ToString(), {F(x)}, graph::NoAttributes{}}; }
OpCase FlattenGradCase(const Shape& x) {
  return {x.ToString(), {F({x[0], x[1] * x[2] * x[3]})}, graph::ReshapeAttributes{x}};
}
struct PadGeometry {
  std::string name;
  Shape x;
  int stride;
  int64_t channels;

  Shape Y() const { return {x[0], (x[1] + stride - 1) / stride, (x[2] + stride - 1) / stride, channels}; }
};
const std::vector<PadGeometry> kPads = {{"resnet", {2, 8, 8, 16}, 2, 32},
                                        {"odd", {1, 7, 5, 3}, 2, 4},
                                        {"channels alone", {2, 3, 3, 5}, 1, 11},
                                        {"stride alone", {2, 9, 9, 6}, 3, 6}};
OpCase PadCase(const PadGeometry& g) {
  return {g.name, {F(g.x)}, graph::PadChannelsAttributes{g.stride, g.channels, {}}};
}
/// Images of `x`, which fill of each what `inside` says: first row and column, and behind the last.
OpCase PixelsCase(const std::string& name, const Shape& x, std::vector<double> inside) {
  graph::PixelsAttributes attributes{.scale = 1 / 255.0f};
  for (size_t c = 0; c < static_cast<size_t>(x[3]); ++c) {
    attributes.mean[c] = 0.3f + 0.1f * static_cast<float>(c);
    attributes.deviation[c] = 0.2f + 0.07f * static_cast<float>(c);
  }
  return {name, {Bytes(x), Given({x[0], 4}, std::move(inside))}, attributes};
}
OpCase PadGradCase(const PadGeometry& g) {
  return {g.name, {F(g.Y())}, graph::PadChannelsAttributes{g.stride, g.channels, g.x}};
}

struct ResizeGeometry {
  std::string name;
  Shape x;
  int64_t height, width;

  Shape Y() const { return {x[0], height, width, x[3]}; }
};
const std::vector<ResizeGeometry> kResizes = {{"twice as large", {2, 3, 5, 8}, 6, 10},
                                              {"half as large", {2, 8, 6, 16}, 4, 3},
                                              {"odd", {3, 5, 7, 3}, 7, 9},
                                              {"smaller, odd", {2, 9, 7, 5}, 5, 4},
                                              {"higher and narrower", {2, 3, 7, 33}, 7, 2},
                                              {"as it is", {1, 4, 3, 9}, 4, 3},
                                              {"to one cell", {2, 3, 4, 7}, 1, 1},
                                              {"from one cell", {2, 1, 1, 12}, 5, 6},
                                              {"a pyramid's map", {1, 8, 10, 48}, 15, 20}};
OpCase ResizeCase(const ResizeGeometry& g) {
  return {g.name, {F(g.x)}, graph::ResizeAttributes{g.height, g.width, {}}};
}
OpCase ResizeGradCase(const ResizeGeometry& g) {
  return {g.name, {F(g.Y())}, graph::ResizeAttributes{g.height, g.width, g.x}};
}
OpCase AlignedCase(const ResizeGeometry& g) {
  return {g.name + ", corners aligned", {F(g.x)}, graph::ResizeAttributes{g.height, g.width, {}, true}};
}
OpCase AlignedGradCase(const ResizeGeometry& g) {
  return {g.name + ", corners aligned", {F(g.Y())}, graph::ResizeAttributes{g.height, g.width, g.x, true}};
}

}  // namespace

std::vector<OpCase> ActivationCases() {
  std::vector<OpCase> cases;
  for (const Activation a : kActivations) {
    cases.push_back({Name(a), {F({17, 33}).Scaled(2)}, graph::ActivationAttributes{a}});
    cases.push_back({std::string(Name(a)) + ", near zero", {F({257}).Scaled(1e-4)}, graph::ActivationAttributes{a}});
    cases.push_back({std::string(Name(a)) + ", large", {F({2, 3, 5, 7}).Scaled(40)}, graph::ActivationAttributes{a}});
    cases.push_back({std::string(Name(a)) + ", many", {F({3, 12001})}, graph::ActivationAttributes{a}});
    cases.push_back({std::string(Name(a)) + ", one", {F({1, 1})}, graph::ActivationAttributes{a}});
  }
  return cases;
}
std::vector<OpCase> ActivationGradCases() {
  std::vector<OpCase> cases;
  for (const Activation a : kActivations) {
    const bool takes_input = a == Activation::kGelu || a == Activation::kSilu || a == Activation::kGeluTanh;
    for (const double scale : {1e-4, 2.0, 40.0}) {
      const Operand x = F({9, 37}).Scaled(scale);
      const Operand v = takes_input ? x : ResultOf(OpKind::kActivation, {2}, 0);
      cases.push_back(
          {fmt::format("{}, scale {}", Name(a), scale), {F({9, 37}), v, Hidden(x)}, graph::ActivationAttributes{a}});
    }
  }
  return cases;
}

std::vector<OpCase> DropoutCases() { return kDropouts; }
std::vector<OpCase> FlattenCases() { return Map(kImages, FlattenCase); }
std::vector<OpCase> FlattenGradCases() { return Map(kImages, FlattenGradCase); }
std::vector<OpCase> PadCases() { return Map(kPads, PadCase); }
std::vector<OpCase> PadGradCases() { return Map(kPads, PadGradCase); }

std::vector<OpCase> ResizeCases() { return Map(kResizes, ResizeCase); }
std::vector<OpCase> ResizeGradCases() { return Map(kResizes, ResizeGradCase); }
std::vector<OpCase> ResizeLinearCases() { return Map(kResizes, ResizeCase) + Map(kResizes, AlignedCase); }
std::vector<OpCase> ResizeLinearGradCases() { return Map(kResizes, ResizeGradCase) + Map(kResizes, AlignedGradCase); }

std::vector<OpCase> ConcatCases() {
  using graph::ConcatAttributes;
  return {{"odd", {F({3, 5}), F({3, 2})}, ConcatAttributes{}},
          {"batch 1", {F({1, 1}), F({1, 17})}, ConcatAttributes{}},
          {"images", {F({2, 3, 4, 16}), F({2, 3, 4, 8})}, ConcatAttributes{}},
          {"vectors", {F({7}), F({9})}, ConcatAttributes{}},
          {"one", {F({3, 4})}, ConcatAttributes{}},
          {"many", {F({4, 8}), F({4, 8}), F({4, 3}), F({4, 1}), F({4, 8})}, ConcatAttributes{}},
          {"channels in front", {F({2, 3, 4, 5}), F({2, 1, 4, 5}), F({2, 8, 4, 5})}, ConcatAttributes{1}},
          {"rows", {F({3, 4}), F({5, 4})}, ConcatAttributes{0}},
          {"from behind", {F({2, 3, 8}), F({2, 4, 8})}, ConcatAttributes{-2}},
          {"whole numbers", {Ids({2, 3}, 1 << 20), Ids({2, 2}, 1 << 20)}, ConcatAttributes{}}};
}

std::vector<OpCase> PixelsCases() {
  return {PixelsCase("grey, whole", {2, 5, 4, 1}, {0, 0, 5, 4, 0, 0, 5, 4}),
          PixelsCase("colours, shifted", {3, 6, 7, 3}, {1, 0, 6, 5, 0, 2, 4, 7, 0, 0, 6, 7}),
          PixelsCase("no sample", {2, 4, 4, 3}, {0, 0, 4, 4, 0, 0, 0, 0}),
          PixelsCase("odd", {1, 3, 3, 5}, {0, 1, 2, 3}),
          PixelsCase("small images", {4, 1, 1, 2}, {0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1}),
          PixelsCase("many", {2, 40, 36, 3}, {3, 4, 40, 32, 0, 0, 40, 36}),
          PixelsCase("sixteen channels", {1, 5, 2, 16}, {0, 0, 5, 1})};
}

std::vector<OpCase> SliceCases() {
  return {{"front", {F({3, 7})}, graph::SliceAttributes{0, 5}},
          {"back", {F({3, 7})}, graph::SliceAttributes{5, 7}},
          {"middle", {F({2, 3, 4, 24})}, graph::SliceAttributes{3, 20}},
          {"whole numbers", {Ids({3, 8}, 1 << 20)}, graph::SliceAttributes{2, 7}},
          {"all", {F({1, 9})}, graph::SliceAttributes{0, 9}}};
}

}  // namespace lockstep::conformance
