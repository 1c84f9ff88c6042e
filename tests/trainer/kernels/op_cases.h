// The conformance table: for every op kind, the operands and attributes it is tried with.
#pragma once

#include <string>
#include <vector>

#include "trainer/graph/graph.h"
#include "trainer/graph/step_block.h"
#include "trainer/kernels/reference/reference.h"

namespace lockstep::conformance {

/// How an operand is filled. Random fills are functions of the op's and the case's names and the operand's place.
enum class Fill {
  kAbsent,
  kNormal,     ///< offset + scale * standard normal
  kPositive,   ///< offset + scale * one in (0.1, 2): variances
  kMask,       ///< 0 or 1
  kLabels,     ///< i32 in [-1, limit), the first -1
  kLengths,    ///< i32 in [0, limit], the first limit, the second 0
  kGiven,      ///< i32, as `given` says
  kSteps,      ///< offset + scale * one of -1, -1/2, 0, 1/2, 1: full of ties
  kBytes,      ///< u8
  kStepBlock,  ///< the case's step block
  kResult,     ///< what op `source` computes from other operands of this case
};

struct Operand {
  Fill fill = Fill::kNormal;
  Shape shape = {};
  graph::Role role = graph::Role::kActivation;
  bool hidden = false;  ///< not an operand of the op, only of `source`
  double scale = 1, offset = 0;
  int limit = 0;
  std::vector<double> given = {};

  graph::OpKind source{};
  std::vector<int> source_operands = {};
  int source_output = 0;

  Operand Scaled(double new_scale, double new_offset = 0) const {
    Operand operand = *this;
    operand.scale = new_scale;
    operand.offset = new_offset;
    return operand;
  }
};

struct OpCase {
  std::string name;
  std::vector<Operand> operands;
  graph::Attributes attributes;
  std::vector<int> unwanted = {};  ///< outputs that are absent
};

struct OpCases {
  graph::OpKind kind;
  std::vector<OpCase> cases;
};

/// One line per op kind (table.cc).
const std::vector<OpCases>& Table();
/// nullptr where the table has no line.
const OpCases* Find(graph::OpKind kind);

/// A case made concrete: a graph of one op, and its operands' values as a backend can hold them.
struct Instance {
  graph::Graph graph;
  std::vector<reference::Tensor> inputs;  ///< by operand of the op; empty for the step block and absent ones
  graph::StepBlock step_block;

  const graph::Op& op() const { return graph.ops.front(); }
};
/// `activations`: f32, or bf16 for activations and their gradients; parameters, statistics and what else a network
/// keeps in float stay f32.
Instance MakeInstance(graph::OpKind kind, const OpCase& op_case, DType activations = DType::kF32);

/// What the reference says about an instance: every output, also those that are unwanted.
std::vector<reference::Tensor> Expected(const Instance& instance);

}  // namespace lockstep::conformance
