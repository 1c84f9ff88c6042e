// Cases of connectionist temporal classification.
#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

struct CtcGeometry {
  std::string name;
  int64_t n, places, classes, labels;
  std::vector<double> lengths, label_lengths;
  int different = 100;  ///< classes that labels take: few have repetitions
  double scale = 1;
  int loss = 0;
};
const std::vector<CtcGeometry> kGeometries = {
    {"one of everything", 1, 1, 2, 1, {1}, {1}},
    {"one place, empty transcript", 1, 1, 3, 1, {1}, {0}},
    {"small", 2, 5, 4, 2, {5, 4}, {2, 1}},
    {"repetitions", 3, 9, 3, 4, {9, 8, 7}, {4, 4, 4}, 1},
    {"just possible", 3, 7, 3, 4, {7, 6, 4}, {4, 3, 2}, 1},
    {"impossible", 4, 6, 5, 4, {6, 3, 6, 0}, {4, 4, 5, 1}, 1},
    {"padding", 5, 6, 7, 3, {6, 0, 4, 6, 0}, {-1, 0, 3, 0, -1}},
    {"speech", 4, 100, 28, 20, {100, 77, 51, 20}, {20, 13, 0, 20}},
    {"speech, without repetitions", 2, 60, 29, 25, {60, 40}, {25, 25}},
    {"many labels", 2, 700, 5, 150, {700, 650}, {150, 131}, 2},
    {"many classes", 2, 12, 1030, 5, {12, 11}, {5, 4}},
    {"steep", 3, 30, 9, 6, {30, 30, 20}, {6, 5, 4}, 3, 12},
    {"second loss", 2, 9, 6, 3, {9, 5}, {3, 2}, 2, 1, 1},
};

/// Classes from 1 on, with repetitions where few are taken; what is behind the label's length is none of them.
Operand Label(const CtcGeometry& g) {
  std::vector<double> label;
  for (int64_t row = 0; row < g.n; ++row) {
    for (int64_t i = 0; i < g.labels; ++i) {
      const bool there = static_cast<double>(i) < g.label_lengths[static_cast<size_t>(row)];
      const int64_t classes = std::min<int64_t>(g.classes - 1, g.different);
      label.push_back(there ? static_cast<double>(1 + (i * i + 3 * i + row) / 2 % classes)
                            : static_cast<double>(-7 * i));
    }
  }
  return Given({g.n, g.labels}, label);
}
OpCase CtcCase(const CtcGeometry& g) {
  return {
      g.name,
      {F({g.n, g.places, g.classes}).Scaled(g.scale), Label(g), Given({g.n}, g.lengths), Given({g.n}, g.label_lengths)},
      graph::CtcAttributes{.loss = g.loss}};
}
OpCase CtcLossAloneCase(const CtcGeometry& g) {
  OpCase op_case = CtcCase(g);
  op_case.name += ", loss alone";
  op_case.unwanted = {1, 2};
  return op_case;
}
OpCase CtcGradCase(const CtcGeometry& g) {
  return {g.name, {F({g.n, g.places, g.classes}), Step()}, graph::CtcAttributes{.loss = g.loss}};
}

}  // namespace

std::vector<OpCase> CtcCases() { return Map(kGeometries, CtcCase) + Map(kGeometries, CtcLossAloneCase); }
std::vector<OpCase> CtcGradCases() { return Map(kGeometries, CtcGradCase); }

}  // namespace lockstep::conformance
