// From a model's graph to a plan: runs the passes and plans memory, packed copies, inputs and buckets.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/arena.h"
#include "trainer/engine/backend.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/engine/program_plan.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/graph.h"
#include "trainer/passes/passes.h"

namespace lockstep::engine {

struct CompileOptions {
  graph::Mode mode = graph::Mode::kTrain;
  DType activations = DType::kF32;               ///< or kBF16
  std::set<std::string> frozen = {};             ///< parameters without gradient
  std::set<std::string> frozen_statistics = {};  ///< running statistics that stay, and normalise (kTrain)
  std::vector<ElementRange> buckets = {};        ///< of the gradient arena (kTrain); each becomes ready as a whole
  std::optional<passes::ByteInput> bytes = {};   ///< an input that the loader delivers as bytes
  bool recompute_activations = false;            ///< less memory, more work, same bits (kTrain)
  int runs_on_same_weights = 1;                  ///< between two packings of weights; decides no bits
  std::string dump_folder = {};                  ///< where not empty: a .dot file after each pass
};

/// Passes: TakeBytes (where an input comes so), FreezeStatistics (where some are), FuseActivations, LowerPrecision
/// (where activations are bf16), AddGradients (kTrain), RemoveDeadOps or RecomputeActivations, Liveness, PlanMemory.
/// Throws Error(kUsage) for graphs that don't fit the layout, and for training without a loss, Error(kInternal) for ops
/// that the backend lacks.
ProgramPlan Compile(const graph::Graph& model, const ParameterLayout& layout, Backend& backend,
                    const CompileOptions& options);

}  // namespace lockstep::engine
