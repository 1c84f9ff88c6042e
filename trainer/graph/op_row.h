// One row per op kind: its name, how shapes follow, how its gradient is emitted as ops, what may run in place.
// Everything that passes need to know about an op stands here; what computes it stands in each backend.
#pragma once

#include <string>
#include <vector>

#include "trainer/graph/graph.h"

namespace lockstep::graph {

/// A value that an op produces: dtype and shape.
struct OutputSpec {
  Shape shape;
  DType dtype = DType::kF32;
};

/// What a gradient function may do: read the forward op, ask for the gradient of its outputs, emit ops, and say what
/// the gradients of its inputs are. Implemented by the autodiff pass.
class GradientContext {
 public:
  virtual ~GradientContext() = default;
  virtual const Graph& graph() const = 0;
  virtual const Op& op() const = 0;
  /// kNoValue where nothing depends on that output.
  virtual ValueId OutputGradient(int output) const = 0;
  /// Whether somebody wants the gradient of input `input` (a trained parameter or what depends on one).
  virtual bool Wanted(int input) const = 0;
  /// Appends an op, named after the forward op plus `suffix`, and returns its outputs: all that the op can have.
  /// RemoveDeadOps (passes.h) turns optional ones that nobody reads into kNoValue.
  virtual std::vector<ValueId> Emit(OpKind kind, std::vector<ValueId> inputs, Attributes attributes,
                                    const std::string& suffix) = 0;
  /// Adds `gradient` to the gradient of input `input` (sums where an input has several uses, in emission order).
  virtual void Accumulate(int input, ValueId gradient) = 0;
  /// The graph's step block.
  virtual ValueId StepBlockValue() = 0;
};

struct OpRow {
  OpKind kind;
  const char* name;
  /// Operands in order, `?` behind those that may be absent: "x, weight, bias?". `...`: any number of them, "x...".
  const char* inputs;
  const char* outputs;
  /// What it computes, in one line with operands, for people: "y = x w^T + b".
  const char* formula;
  /// Checks operands and returns what comes out. Throws Error(kUsage) naming shapes that don't fit.
  std::vector<OutputSpec> (*infer)(const Graph& graph, const Op& op);
  /// Emits the gradient; nullptr where an op has none (gradient ops, counters).
  void (*gradient)(GradientContext& context);
  /// Index of the input whose memory output 0 may take over; -1: none. Kernels must be right where the two addresses
  /// are the same.
  int in_place;
  /// Floating-point operations of one run.
  double (*flops)(const Graph& graph, const Op& op);
};

}  // namespace lockstep::graph
