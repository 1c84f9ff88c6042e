// Cases of recurrent layers.
#include <fmt/format.h>

#include <cmath>

#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using graph::OpKind;

struct RecurrentGeometry {
  std::string name;
  int64_t n, places, hidden;
  bool reverse = false, lengths = false, bias = true, states = false;
  double scale = 1;  ///< of gates
};
const std::vector<RecurrentGeometry> kGeometries = {
    {"small", 2, 5, 4},
    {"one of everything", 1, 1, 1},
    {"one place, with states", 3, 1, 20, false, false, true, true},
    {"two places, many rows", 9, 2, 33, false, false, true, true},
    {"a whole panel", 4, 6, 16},
    {"several panels", 7, 9, 64},
    {"odd", 13, 11, 37, false, false, false},
    {"lengths", 6, 9, 12, false, true},
    {"reverse", 3, 7, 18, true},
    {"reverse, with states", 5, 6, 17, true, false, true, true},
    {"lengths, reverse", 8, 10, 15, true, true, false},
    {"lengths, with states", 8, 10, 24, false, true, true, true},
    {"lengths, reverse, with states", 9, 12, 16, true, true, true, true},
    {"one place, lengths, reverse, with states", 4, 1, 9, true, true, true, true},
    {"many places", 2, 60, 8, false, false, true, true},
    {"wide", 3, 4, 150},
    {"steep", 4, 8, 10, false, false, true, false, 20},
    {"many rows", 40, 4, 5, true, true},
};

Operand RecurrentWeight(int gates, const RecurrentGeometry& g) {
  return Weight({gates * g.hidden, g.hidden}).Scaled(0.5 / std::sqrt(static_cast<double>(g.hidden)));
}
Operand Gates(int gates, const RecurrentGeometry& g) { return F({g.n, g.places, gates * g.hidden}).Scaled(g.scale); }
Operand Bias(int gates, const RecurrentGeometry& g) { return g.bias ? Weight({gates * g.hidden}) : Absent(); }
Operand Length(const RecurrentGeometry& g) { return g.lengths ? Lengths(g.n, static_cast<int>(g.places)) : Absent(); }
Operand State(const RecurrentGeometry& g) { return g.states ? F({g.n, g.hidden}) : Absent(); }

OpCase LstmCase(const RecurrentGeometry& g) {
  return {g.name,
          {Gates(4, g), RecurrentWeight(4, g), Bias(4, g), Length(g), State(g), State(g)},
          graph::RecurrentAttributes{g.reverse}};
}
OpCase GruCase(const RecurrentGeometry& g) {
  return {g.name,
          {Gates(3, g), RecurrentWeight(3, g), Bias(3, g), Length(g), State(g)},
          graph::RecurrentAttributes{g.reverse}};
}
OpCase Alone(OpCase op_case, std::vector<int> unwanted) {
  op_case.name += ", y alone";
  op_case.unwanted = std::move(unwanted);
  return op_case;
}
OpCase LstmAloneCase(const RecurrentGeometry& g) { return Alone(LstmCase(g), {1, 2, 3}); }
OpCase GruAloneCase(const RecurrentGeometry& g) { return Alone(GruCase(g), {1, 2}); }

OpCase LstmGradCase(const RecurrentGeometry& g) {
  const auto forward = [](int output) { return ResultOf(OpKind::kLstm, {7, 3, 8, 4, 5, 6}, output); };
  return {g.name,
          {F({g.n, g.places, g.hidden}), forward(0), forward(1), RecurrentWeight(4, g), Length(g), State(g), State(g),
           Hidden(Gates(4, g)), Hidden(Bias(4, g))},
          graph::RecurrentAttributes{g.reverse}};
}
OpCase GruGradCase(const RecurrentGeometry& g) {
  const auto forward = [](int output) { return ResultOf(OpKind::kGru, {6, 3, 7, 4, 5}, output); };
  return {g.name,
          {F({g.n, g.places, g.hidden}), forward(0), forward(1), RecurrentWeight(3, g), Length(g), State(g),
           Hidden(Gates(3, g)), Hidden(Bias(3, g))},
          graph::RecurrentAttributes{g.reverse}};
}
/// Without the gradient of the weight, of the bias, and of both: frozen parameters.
std::vector<OpCase> Frozen(const OpCase& op_case) {
  std::vector<OpCase> cases;
  for (const std::vector<int>& unwanted : {std::vector{1}, {2}, {1, 2}}) {
    cases.push_back(op_case);
    cases.back().unwanted = unwanted;
    cases.back().name += fmt::format(", {} unwanted from {}", unwanted.size(), unwanted[0]);
  }
  return cases;
}

}  // namespace

std::vector<OpCase> LstmCases() { return Map(kGeometries, LstmCase) + Map(kGeometries, LstmAloneCase); }
std::vector<OpCase> LstmGradCases() { return Map(kGeometries, LstmGradCase) + Frozen(LstmGradCase(kGeometries[11])); }
std::vector<OpCase> GruCases() { return Map(kGeometries, GruCase) + Map(kGeometries, GruAloneCase); }
std::vector<OpCase> GruGradCases() { return Map(kGeometries, GruGradCase) + Frozen(GruGradCase(kGeometries[11])); }

}  // namespace lockstep::conformance
