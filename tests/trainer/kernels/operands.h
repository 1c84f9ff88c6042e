// How operands of cases are written down.
#pragma once

#include <utility>
#include <vector>

#include "tests/trainer/kernels/op_cases.h"

namespace lockstep::conformance {

inline Operand F(Shape shape) { return {.shape = shape}; }
inline Operand Weight(Shape shape) { return {.shape = shape, .role = graph::Role::kParameter}; }
inline Operand Positive(Shape shape) {
  return {.fill = Fill::kPositive, .shape = shape, .role = graph::Role::kStatistic};
}
inline Operand Mask(Shape shape) { return {.fill = Fill::kMask, .shape = shape, .role = graph::Role::kInput}; }
inline Operand Steps(Shape shape) { return {.fill = Fill::kSteps, .shape = shape}; }
inline Operand Bytes(Shape shape) { return {.fill = Fill::kBytes, .shape = shape, .role = graph::Role::kInput}; }
inline Operand Ids(Shape shape, int entries) {
  return {.fill = Fill::kLabels, .shape = shape, .role = graph::Role::kInput, .limit = entries};
}
inline Operand Labels(int64_t n, int classes) { return Ids({n}, classes); }
inline Operand Lengths(int64_t n, int limit) {
  return {.fill = Fill::kLengths, .shape = {n}, .role = graph::Role::kInput, .limit = limit};
}
inline Operand Given(Shape shape, std::vector<double> values) {
  return {.fill = Fill::kGiven, .shape = shape, .role = graph::Role::kInput, .given = std::move(values)};
}
inline Operand Absent() { return {.fill = Fill::kAbsent}; }
inline Operand Step() { return {.fill = Fill::kStepBlock, .role = graph::Role::kStepBlock}; }
inline Operand Hidden(Operand operand) {
  operand.hidden = true;
  return operand;
}
/// Output `output` of `source` over operands of the same case.
inline Operand ResultOf(graph::OpKind source, std::vector<int> operands, int output) {
  return {.fill = Fill::kResult, .source = source, .source_operands = std::move(operands), .source_output = output};
}

/// One case per geometry.
template <typename Geometry, typename Make>
std::vector<OpCase> Map(const std::vector<Geometry>& geometries, Make make) {
  std::vector<OpCase> cases;
  for (const Geometry& geometry : geometries) cases.push_back(make(geometry));
  return cases;
}
inline std::vector<OpCase> operator+(std::vector<OpCase> a, const std::vector<OpCase>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace lockstep::conformance
