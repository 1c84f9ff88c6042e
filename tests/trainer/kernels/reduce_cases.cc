// Cases of reductions.
#include <fmt/format.h>

#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using graph::AxisBits;
using graph::OpKind;
using graph::ReduceAttributes;
using graph::ReduceFunction;

struct ReduceGeometry {
  Shape x;
  uint32_t axes;
  bool keep = false;
};
const std::vector<ReduceGeometry> kGeometries = {
    {{3, 5, 7}, AxisBits({2})},
    {{3, 5, 7}, AxisBits({0}), true},
    {{3, 5, 7}, AxisBits({1})},
    {{2, 6, 4, 8}, AxisBits({2, 3}), true},
    {{2, 6, 4, 8}, AxisBits({1, 2})},
    {{2, 3, 4, 5, 3, 2}, AxisBits({0, 2, 4})},
    {{2, 3, 4, 5, 3, 2}, AxisBits({1, 3, 5}), true},
    {{4, 1, 9}, AxisBits({1})},
    {{7}, AxisBits({0})},
    {{3, 4}, 0},
    {{1, 1}, AxisBits({0, 1})},
    {{3, 5000}, AxisBits({1})},
    {{300, 9}, AxisBits({0})},
    {{2, 70, 520}, AxisBits({1})},
    {{9, 40, 33}, AxisBits({0, 1, 2})},
    {{9000, 12}, AxisBits({0})},
    {{30000}, AxisBits({0})},
};
constexpr ReduceFunction kFunctions[] = {ReduceFunction::kSum, ReduceFunction::kMean, ReduceFunction::kMax,
                                         ReduceFunction::kMin, ReduceFunction::kProduct};

/// Products of many random numbers leave what floats can hold.
bool Fits(ReduceFunction function, const Shape& x) {
  return x.size() < 300 || function == ReduceFunction::kSum || function == ReduceFunction::kMax;
}

std::string NameOf(ReduceFunction function, const ReduceGeometry& g) {
  return fmt::format("{} of {} over {:b}{}", Name(function), g.x.ToString(), g.axes, g.keep ? ", kept" : "");
}

}  // namespace

std::vector<OpCase> ReduceCases() {
  std::vector<OpCase> cases;
  for (const ReduceFunction function : kFunctions) {
    for (const ReduceGeometry& g : kGeometries) {
      if (!Fits(function, g.x)) continue;
      cases.push_back({NameOf(function, g), {F(g.x)}, ReduceAttributes{function, g.axes, g.keep, {}}});
    }
    cases.push_back(
        {fmt::format("{}, with ties", Name(function)), {Steps({5, 6, 7})}, ReduceAttributes{function, AxisBits({1})}});
  }
  // What float alone would lose: a large mean.
  cases.push_back({"offset", {F({2, 30000}).Scaled(1, 100)}, ReduceAttributes{ReduceFunction::kMean, AxisBits({1})}});
  return cases;
}

std::vector<OpCase> ReduceGradCases() {
  std::vector<OpCase> cases;
  for (const ReduceFunction function : kFunctions) {
    const bool needs_x = function != ReduceFunction::kSum && function != ReduceFunction::kMean;
    const bool needs_y = needs_x && function != ReduceFunction::kProduct;
    for (const ReduceGeometry& g : kGeometries) {
      if (!Fits(function, g.x)) continue;
      for (const bool ties : {false, true}) {
        if (ties && (!needs_x || g.x.size() > 1000)) continue;
        const Operand x = ties ? Steps(g.x) : F(g.x);
        const ReduceAttributes attributes{function, g.axes, g.keep, g.x};
        // The gradient is shaped as what it is the gradient of.
        std::vector<int64_t> dims;
        for (int d = 0; d < g.x.rank(); ++d) {
          const bool reduced = (g.axes >> d & 1) != 0;
          if (!reduced || g.keep) dims.push_back(reduced ? 1 : g.x.dim(d));
        }
        const Operand dy = F(Shape(std::span<const int64_t>(dims)));
        cases.push_back({NameOf(function, g) + (ties ? ", with ties" : ""),
                         {dy, needs_x ? x : Absent(), needs_y ? ResultOf(OpKind::kReduce, {1}, 0) : Absent()},
                         attributes});
      }
    }
  }
  return cases;
}

}  // namespace lockstep::conformance
