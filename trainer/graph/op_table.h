// Every op's row, by kind, and what follows from rows alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trainer/graph/graph.h"
#include "trainer/graph/op_row.h"

namespace lockstep::graph {

const OpRow& Row(OpKind kind);
const char* Name(OpKind kind);

/// A name in OpRow::inputs or OpRow::outputs.
struct Operand {
  std::string name;
  bool optional = false;
  bool repeated = false;  ///< "x...": one or more, the last of the row
};
std::vector<Operand> ParseOperands(std::string_view text);

/// Appends an op (operands at the end that may be absent may be left out) and a value for each of its outputs ("NAME"
/// for the first, "NAME/mean" for others), with the shapes that its row infers. Throws Error(kUsage) where operands
/// don't fit, and then leaves the graph as it was.
std::vector<ValueId> AppendOp(Graph& graph, OpKind kind, std::vector<ValueId> inputs, Attributes attributes,
                              const std::string& name);

/// The graph's step block, made where there is none yet.
ValueId EnsureStepBlock(Graph& graph);

/// Whether result 0 lies where input 0 lies: kReshape, kCacheAppend.
bool SharesMemory(OpKind kind);

/// Whether the gradient of `activation` follows from its result alone: relu, tanh, sigmoid.
bool GradientFollowsFromResult(Activation activation);

/// Height or width after a window whose cells are `dilation` apart: (size + 2 padding - dilation (kernel - 1) - 1) /
/// stride + 1; 0 where it does not fit.
int64_t WindowOutput(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation = 1);

}  // namespace lockstep::graph
