// What families of rows (ops_*.cc) share: checks of operands, and gradients through a fused activation.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "trainer/graph/op_families.h"
#include "trainer/graph/op_table.h"

namespace lockstep::graph {

/// Throws Error(kUsage) with the op's name as its place.
[[noreturn]] void Reject(const Op& op, const std::string& message, const std::string& hint = "");

/// Input `index`. REQUIRES: it is present.
const Value& InputOf(const Graph& graph, const Op& op, int index);
bool HasInput(const Op& op, int index);

void RequireShape(const Op& op, const Value& value, std::string_view operand, const Shape& expected);
void RequireRank(const Op& op, const Value& value, std::string_view operand, int rank);
void RequireDType(const Op& op, const Value& value, std::string_view operand, DType dtype);
/// f32 or bf16.
void RequireFloat(const Op& op, const Value& value, std::string_view operand);
/// `shape` as a gradient op's attributes give it must have `rank` dimensions, all positive.
void RequireResult(const Op& op, const Shape& shape, int rank);

/// A loss's index must be one of StepBlock::loss_scale, and input `input` the step block.
void RequireLossIndex(const Op& op, int loss);
void RequireStepBlock(const Graph& graph, const Op& op, int input);

/// The height or width after a window, which must fit at least once.
int64_t RequireWindow(const Op& op, const Shape& image, int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                      int64_t dilation = 1);

/// The shape to which both broadcast, as numpy's do.
Shape RequireBroadcast(const Op& op, const Shape& a, const Shape& b);

template <typename A>
const A& AttributesOf(const Op& op) {
  const A* attributes = std::get_if<A>(&op.attributes);
  CHECK(attributes != nullptr, "{} ({}) has another op's attributes", op.name, Name(op.kind));
  return *attributes;
}

/// The gradient of the op's result before its fused `activation`.
ValueId GradientBeforeActivation(GradientContext& context, Activation activation);

/// The shape of forward input `index`.
const Shape& InputShape(const GradientContext& context, int index);

/// `value`, a gradient of what an operand of shape `shape` was broadcast to, summed over what it was repeated along.
ValueId SumTo(GradientContext& context, ValueId value, const Shape& shape, const std::string& suffix);

/// `shape` with its last dimension replaced, or without it. REQUIRES: it has one.
Shape WithLast(const Shape& shape, int64_t last);
Shape WithoutLast(const Shape& shape);

/// One operation per element of output 0, or of input 0.
double FlopsPerElement(const Graph& graph, const Op& op);
double FlopsPerInputElement(const Graph& graph, const Op& op);
/// None: the op moves bytes.
double NoFlops(const Graph& graph, const Op& op);

}  // namespace lockstep::graph
