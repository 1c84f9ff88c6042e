// The passes, each a function from graph to graph, in the order in which Compile (engine/program.h) runs them.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "trainer/graph/graph.h"

namespace lockstep::passes {

/// Moves transposes of a forward graph (OpKind::kStrided) down through ops that do the same in any order of dimensions
/// (reorder_ops.h), until they meet their inverse and both are gone: images that are NCHW between ops that want NHWC
/// stay NHWC. The graph stays as it is where that would move more. The pass before those that look for patterns.
graph::Graph SinkTransposes(const graph::Graph& forward);

/// Makes one op of silu, GELU, its approximation by tanh, and RMS norm where a forward graph has them written out in
/// elementary functions, in whatever order factors were multiplied. Before FuseActivations.
graph::Graph RecogniseActivations(const graph::Graph& forward);

/// Folds an activation into the linear, convolution or batch norm before it, where its gradient follows from the result
/// alone (relu, tanh, sigmoid), or always when `training` is false.
graph::Graph FuseActivations(const graph::Graph& forward, bool training);

/// An input of images that comes as bytes, beside which `inside` comes (OpKind::kPixels).
struct ByteInput {
  std::string image, inside;
  graph::PixelsAttributes attributes;
};
/// The input of that name, f32 [n, h, w, c] of a forward graph, becomes u8, and its values the first op's result. A
/// graph without it stays as it is. The first pass.
graph::Graph TakeBytes(const graph::Graph& forward, const ByteInput& input);

/// Lets batch norms of a forward graph of training normalise by the running statistics in `statistics`, which nothing
/// moves any more.
graph::Graph FreezeStatistics(const graph::Graph& forward, const std::set<std::string>& statistics);

/// Turns the inputs of a forward graph that are float to bf16, save what losses compare with and the states of
/// recurrent layers; activations follow, and so do their gradients, later. Parameters, their gradients, statistics and
/// losses stay as they are.
graph::Graph LowerPrecision(const graph::Graph& forward);

/// Removes ops whose results nobody reads (losses, counters, outputs, gradients and statistic updates are read), and
/// turns optional outputs that nobody reads into kNoValue.
graph::Graph RemoveDeadOps(const graph::Graph& graph);

/// Appends the gradients of all losses by all parameters not in `frozen`, as ops (graph.gradients says which value is
/// whose, and no value is two parameters'). They are named "PARAMETER/grad". Losses add up as their
/// StepBlock::loss_scale says.
graph::Graph AddGradients(const graph::Graph& forward, const std::set<std::string>& frozen);

/// RemoveDeadOps, and less memory: values of the first `forward_ops` ops, which compute the losses, are computed again
/// for the gradients where that makes the arena smaller (PlanMemory; `outside` as there). Same bits.
graph::Graph RecomputeActivations(const graph::Graph& graph, size_t forward_ops,
                                  const std::set<graph::ValueId>& outside);

/// Makes one op of several that read or write the same large values, of a graph without dead ops: a cross entropy and
/// its gradient; a sum and the norm of it; a norm's gradient and its sum with that of another branch. Other bits, as
/// what lies between is no longer rounded. And takes the mask of a relu that is fused into a batch norm from its
/// operand.
graph::Graph FuseForDevice(const graph::Graph& graph);

/// Makes one op (kFusedElementwise) of trees of elementwise ops of one shape that nobody else reads into, of a graph
/// without dead ops, behind FuseForDevice. Only where kinds are among them that no family is made of (kUnary, kBinary,
/// kWhere, their gradients). Same bits, save where inner values were bf16.
graph::Graph FuseElementwise(const graph::Graph& graph);

/// Lets rows (of the last dimension) of results of products begin at multiples of `bytes` (graph::Value::pitch), where
/// every op that writes or reads them can: a vocabulary of an odd number of words. Likewise the channels of images in
/// bf16 that come as bytes and are convolved, with zeros behind them. The last pass.
graph::Graph PadRows(const graph::Graph& graph, int64_t bytes);

/// When each value is first written and last read, in op numbers. Values of other roles than kActivation have none.
/// What is read after the run (losses, counters, outputs, gradients, statistics) is last read by the op after the last.
struct Lifetime {
  int first = -1;
  int last = -1;
};
std::vector<Lifetime> Liveness(const graph::Graph& graph);

/// Offsets of activations in one arena, in bytes. Values whose lifetimes overlap don't overlap in memory, save in-place
/// takeovers that the op table allows, and results of kReshape, which lie where their input lies (without a place where
/// that has none; a result in `outside` is a copy). `outside` (gradients: they lie in the gradient arena) get no place.
struct MemoryPlan {
  std::vector<int64_t> offset;  ///< by ValueId; -1: not in the arena
  int64_t bytes = 0;
};
MemoryPlan PlanMemory(const graph::Graph& graph, const std::vector<Lifetime>& lifetimes,
                      const std::set<graph::ValueId>& outside);

}  // namespace lockstep::passes
