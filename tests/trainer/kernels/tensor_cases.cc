// Cases of what moves elements of tensors of any rank, of softmax, and of products from the graph.
#include <fmt/format.h>

#include <algorithm>

#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"
#include "trainer/graph/strided.h"

namespace lockstep::conformance {
namespace {

using graph::Expanded;
using graph::GatherAttributes;
using graph::MatMulAttributes;
using graph::OpKind;
using graph::PadAttributes;
using graph::Sliced;
using graph::SoftmaxAttributes;
using graph::StridedAttributes;
using graph::Transposed;

struct View {
  std::string name;
  Shape x;
  StridedAttributes view;
};

StridedAttributes Turned(const Shape& x, std::vector<int> order) { return Transposed(x, order); }

/// Views that read no element twice.
std::vector<View> InjectiveViews() {
  std::vector<View> views;
  const auto turned = [&](const Shape& x, std::vector<int> order) {
    views.push_back({fmt::format("{} turned {}", x.ToString(), fmt::join(order, "")), x, Turned(x, order)});
  };
  turned({5, 7}, {1, 0});
  turned({8, 16}, {1, 0});
  turned({2, 33, 6, 5}, {0, 2, 3, 1});
  turned({2, 6, 5, 33}, {0, 3, 1, 2});
  turned({2, 9, 4, 16}, {0, 2, 1, 3});
  turned({3, 4, 1, 2, 5}, {4, 2, 0, 3, 1});
  turned({2, 3, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0});
  turned({1, 1}, {1, 0});
  turned({2, 40, 17, 19}, {0, 3, 2, 1});
  views.push_back({"every third from behind", {4, 20}, Sliced({4, 20}, 1, 19, -3, 7)});
  views.push_back({"rows back to front", {6, 8, 3}, Sliced({6, 8, 3}, 0, 5, -1, 6)});
  views.push_back({"one column", {6, 8}, Sliced({6, 8}, 1, 3, 1, 1)});
  views.push_back({"middle", {3, 9, 16}, Sliced({3, 9, 16}, 1, 2, 2, 3)});
  views.push_back({"one element", {3, 4}, {.shape = {}, .offset = 7}});
  views.push_back({"diagonal", {5, 5}, {.shape = {5}, .strides = {6}}});
  return views;
}

std::vector<View> RepeatingViews() {
  return {{"a row to rows", {7}, Expanded({7}, {5, 7})},
          {"a column along rows", {5, 1}, Expanded({5, 1}, {5, 33})},
          {"in the middle", {2, 1, 3, 1}, Expanded({2, 1, 3, 1}, {4, 2, 5, 3, 8})},
          {"a number", {}, Expanded({}, {3, 4})}};
}

struct Padding {
  Shape x;
  std::vector<int64_t> before, after;
  float value = 0;
};
PadAttributes AttributesOf(const Padding& p) {
  PadAttributes pad{.value = p.value};
  std::ranges::copy(p.before, pad.before.begin());
  std::ranges::copy(p.after, pad.after.begin());
  return pad;
}
OpCase PaddingCase(const Padding& p) {
  return {fmt::format("{} {} {}", p.x.ToString(), fmt::join(p.before, ","), fmt::join(p.after, ",")),
          {F(p.x)},
          AttributesOf(p)};
}

GatherAttributes Gathering(int axis, std::vector<int32_t> index, const Shape& result = {}) {
  return {axis, std::make_shared<const std::vector<int32_t>>(std::move(index)), result};
}
struct Gathered {
  Shape x;
  int axis;
  std::vector<int32_t> index;

  Shape Y() const {
    std::vector<int64_t> dims(x.dims().begin(), x.dims().end());
    dims[static_cast<size_t>(axis)] = static_cast<int64_t>(index.size());
    return Shape(std::span<const int64_t>(dims));
  }
  std::string Name() const { return fmt::format("{} of {} along {}", index.size(), x.ToString(), axis); }
};
std::vector<Gathered> Gatherings() {
  std::vector<int32_t> many(1000);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<int32_t>(i * i % 13);
  return {{{5, 8}, 0, {4, 0, 0, 2}}, {{3, 7, 2}, 1, {6, 6, 6, 1, 0}}, {{2, 9}, 1, {8}}, {{13, 4}, 0, many},
          {{2, 13}, 1, many},        {{3, 3, 16}, 1, {2, 1, 0, 1}}};
}

struct Product {
  std::string name;
  Shape a, b;
  bool transpose_a = false, transpose_b = false;
  float scale = 1;
};
const std::vector<Product> kProducts = {
    {"matrices", {5, 7}, {7, 3}},
    {"both transposed", {7, 5}, {3, 7}, true, true},
    {"a batch", {4, 5, 8}, {4, 8, 16}},
    {"scores", {2, 3, 9, 16}, {2, 3, 9, 16}, false, true, 0.25f},
    {"a batch, a transposed", {2, 3, 8, 5}, {2, 3, 8, 7}, true},
    {"rows of a batch", {2, 3, 5, 8}, {8, 6}},
    {"rows of a batch, b transposed", {2, 3, 5, 8}, {6, 8}, false, true, 2},
    {"one a", {8, 5}, {6, 8, 3}, true},
    {"broadcast in the middle", {3, 1, 4, 5}, {2, 5, 6}},
    {"broadcast both ways", {3, 1, 2, 4, 5}, {4, 1, 5, 3}},
    {"one row, one column", {3, 1, 9}, {3, 9, 1}},
};

}  // namespace

std::vector<OpCase> StridedCases() {
  std::vector<OpCase> cases;
  for (const View& v : InjectiveViews()) {
    cases.push_back({v.name, {F(v.x)}, v.view});
    cases.push_back({v.name + ", bytes", {Bytes(v.x)}, v.view});
    if (v.x.size() < 100) cases.push_back({v.name + ", whole numbers", {Ids(v.x, 1 << 20)}, v.view});
  }
  for (const View& v : RepeatingViews()) cases.push_back({v.name, {F(v.x)}, v.view});
  return cases;
}
std::vector<OpCase> StridedGradCases() {
  return Map(InjectiveViews(), [](const View& v) {
    StridedAttributes view = v.view;
    view.result = v.x;
    return OpCase{v.name, {F(view.shape)}, view};
  });
}

std::vector<OpCase> PaddingCases() {
  return Map(std::vector<Padding>{{{3, 5}, {0, 2}, {0, 1}},
                                  {{3, 5}, {1, -2}, {2, -1}},
                                  {{2, 3, 4, 8}, {0, 1, 2, 0}, {0, 0, 1, 0}},
                                  {{2, 3, 4, 5}, {0, 1, 1, 0}, {0, 1, 1, 0}, -1.5f},
                                  {{2, 4, 6, 3}, {0, -1, 0, 0}, {0, 0, -2, 3}},
                                  {{4, 3}, {2, 0}, {-3, 0}},
                                  {{3, 4}, {0, 6}, {0, -4}, 2},
                                  {{9}, {3}, {4}},
                                  {{2, 3, 3, 2}, {0, 1, 0, 0}, {0, 1, 2, 0}}},
             PaddingCase);
}

std::vector<OpCase> GatherCases() {
  std::vector<OpCase> cases = Map(Gatherings(), [](const Gathered& g) {
    return OpCase{g.Name(), {F(g.x)}, Gathering(g.axis, g.index)};
  });
  cases.push_back({"whole numbers", {Ids({7, 2}, 1 << 20)}, Gathering(0, {6, 0, 3})});
  cases.push_back({"bytes", {Bytes({5, 3})}, Gathering(1, {2, 2, 0})});
  return cases;
}
std::vector<OpCase> GatherGradCases() {
  return Map(Gatherings(), [](const Gathered& g) {
    return OpCase{g.Name(), {F(g.Y())}, Gathering(g.axis, g.index, g.x)};
  });
}

std::vector<OpCase> SoftmaxCases() {
  std::vector<OpCase> cases;
  for (const bool log : {false, true}) {
    const std::string name = log ? "logarithm, " : "";
    for (const Shape& x : {Shape{3, 5}, Shape{2, 3, 4, 16}, Shape{1, 1}, Shape{2, 1000}, Shape{37, 33}, Shape{9}}) {
      cases.push_back({name + x.ToString(), {F(x).Scaled(3)}, SoftmaxAttributes{log}});
    }
    cases.push_back({name + "far apart", {F({4, 40}).Scaled(40)}, SoftmaxAttributes{log}});
    cases.push_back({name + "far away", {F({4, 40}).Scaled(1, 60)}, SoftmaxAttributes{log}});
  }
  return cases;
}
std::vector<OpCase> SoftmaxGradCases() {
  std::vector<OpCase> cases;
  for (const bool log : {false, true}) {
    for (const Shape& x : {Shape{3, 5}, Shape{2, 3, 4, 16}, Shape{1, 1}, Shape{2, 1000}, Shape{37, 33}}) {
      cases.push_back({(log ? "logarithm, " : "") + x.ToString(),
                       {F(x), ResultOf(OpKind::kSoftmax, {2}, 0), Hidden(F(x).Scaled(2))},
                       SoftmaxAttributes{log}});
    }
  }
  return cases;
}

std::vector<OpCase> MatMulCases() {
  std::vector<OpCase> cases;
  for (const Product& p : kProducts) {
    const MatMulAttributes attributes{p.transpose_a, p.transpose_b, p.scale};
    cases.push_back({p.name, {F(p.a), F(p.b)}, attributes});
    cases.push_back({p.name + ", b a parameter", {F(p.a), Weight(p.b)}, attributes});
  }
  cases.push_back({"a a parameter", {Weight({6, 8}), F({3, 8, 5})}, MatMulAttributes{}});
  cases.push_back({"of a parameter's gradient", {F({40, 6}), F({40, 9})}, MatMulAttributes{true, false, 1, true}});
  cases.push_back({"large enough to pack", {F({2, 40, 32}), Weight({32, 48})}, MatMulAttributes{}});
  return cases;
}

}  // namespace lockstep::conformance
