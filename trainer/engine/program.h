// A Program: a model compiled for one lane, one mode and one batch: kernels in order, over a planned activation arena.
//
// Compile runs the passes and plans memory (ProgramPlan: immutable, shared by all executors of a rank). Each executor
// then makes its own Program from it: kernels with resolved addresses into its own activation arena and gradient arena.
// Packed copies of weights are made once per step for all executors of the rank (PackedWeights).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/memory.h"
#include "trainer/engine/backend.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/graph.h"
#include "trainer/graph/step_block.h"
#include "trainer/passes/passes.h"

namespace lockstep::engine {

struct CompileOptions {
  graph::Mode mode = graph::Mode::kTrain;
  DType activations = DType::kF32;         ///< or kBF16
  std::set<std::string> frozen = {};       ///< parameters without gradient
  std::vector<ElementRange> buckets = {};  ///< of the gradient arena (kTrain); each becomes ready as a whole
  bool recompute_activations = false;      ///< less memory, more work, same bits (kTrain)
  int runs_on_same_weights = 1;            ///< between two packings of weights; decides no bits
  std::string dump_folder = {};            ///< where not empty: a .dot file after each pass
};

class ProgramPlan {
 public:
  graph::Graph graph;
  passes::MemoryPlan memory;
  size_t workspace_bytes = 0;

  /// A packed copy of a parameter, as `input` of `op` wants it.
  struct PlannedCopy {
    int op = 0, input = 0;
    int layout = -1;  ///< as Backend::PackedLayout
    size_t bytes = 0;
  };
  std::vector<PlannedCopy> copies;
  size_t packed_bytes = 0;  ///< of all copies
  /// Who reads which of them.
  struct PackedOperand {
    int op = 0, input = 0, copy = 0;
  };
  std::vector<PackedOperand> packed;

  /// Inputs and the step block lie in one block of memory, so that one copy takes them to a device: by ValueId, in
  /// bytes; -1 for all other values.
  std::vector<int64_t> input_offset;
  size_t input_bytes = 0;
  int64_t step_block_offset = -1;  ///< -1: the graph has no step block

  /// kNoValue where the graph has no such input.
  graph::ValueId Input(const std::string& name) const;

  /// buckets_after[i]: the buckets that are ready after op i: every gradient and statistic in them is written, and no
  /// later op reads these or the bucket's weights. Empty save in kTrain.
  std::vector<std::vector<int>> buckets_after;
  std::vector<int> buckets_at_start;  ///< those that no op touches (frozen parameters)

  double flops = 0;  ///< of one run
};

/// Passes: FuseActivations, LowerPrecision (where activations are bf16), AddGradients (kTrain), RemoveDeadOps or
/// RecomputeActivations, Liveness, PlanMemory. Throws Error(kUsage) for graphs that don't fit the layout, and for
/// training without a loss, Error(kInternal) for ops that the backend lacks.
ProgramPlan Compile(const graph::Graph& model, const ParameterLayout& layout, Backend& backend,
                    const CompileOptions& options);

/// A parameter in a layout that kernels like better. Any thread may pack it, before any program that reads it runs.
class PackedCopy {
 public:
  /// `memory`: copy.bytes where the backend's kernels find them; empty: memory of its own.
  PackedCopy(const ProgramPlan& plan, const ProgramPlan::PlannedCopy& copy, const ParameterLayout& layout,
             Backend& backend, const float* parameters, std::span<std::byte> memory);

  void Pack() { kernel_->Run(); }
  const std::byte* data() const { return data_; }
  /// Whether it serves as `copy` of `plan` too.
  bool Is(const ProgramPlan& plan, const ProgramPlan::PlannedCopy& copy) const;

 private:
  const std::string parameter_;
  const int layout_;
  Buffer own_;
  std::byte* data_;
  std::unique_ptr<Kernel> kernel_;
};

/// The packed copies that a program reads: shared by a rank's executors, and with programs of other shapes.
class PackedWeights {
 public:
  /// `memory`: at least plan.packed_bytes where the backend's kernels find it; empty: memory of its own. What `others`,
  /// of programs over the same parameters, have in the same layout is not copied again.
  PackedWeights(const ProgramPlan& plan, const ParameterLayout& layout, Backend& backend, const float* parameters,
                std::span<std::byte> memory = {}, std::span<const std::unique_ptr<PackedWeights>> others = {});

  /// As ProgramPlan::copies.
  std::span<const std::shared_ptr<PackedCopy>> copies() const { return copies_; }
  void Pack();

 private:
  std::vector<std::shared_ptr<PackedCopy>> copies_;
};

/// Bytes of the packed copies of programs over the same parameters that share what they can.
size_t PackedBytes(std::span<const std::shared_ptr<const ProgramPlan>> plans);

class Program {
 public:
  struct Bindings {
    const float* parameters = nullptr;  ///< the parameter arena
    float* gradients = nullptr;         ///< the gradient arena of this executor: lane gradients and lane statistics
    const PackedWeights* packed = nullptr;
    std::span<std::byte> arena = {};      ///< at least plan.memory.bytes; all programs of an executor share one
    std::span<std::byte> workspace = {};  ///< at least plan.workspace_bytes
    std::span<std::byte> inputs = {};     ///< at least plan.input_bytes; empty: the program's own
    const std::map<std::string, std::byte*>* states = nullptr;  ///< by name: memory that outlives the program
  };
  Program(std::shared_ptr<const ProgramPlan> plan, const ParameterLayout& layout, Backend& backend,
          const Bindings& bindings);

  const ProgramPlan& plan() const { return *plan_; }
  /// The memory of an input, to be filled before Run. Empty where the graph has no such input.
  std::span<std::byte> input(const std::string& name);
  /// To be filled before Run, where inputs lie in memory of the host.
  graph::StepBlock& step_block() { return *step_block_; }

  /// Runs all kernels in order. `on_bucket(k)` is called as soon as bucket k is ready; may be null.
  void Run(const std::function<void(int bucket)>& on_bucket);

  /// After Run, in the order of graph.losses and graph.counters.
  double loss(int index) const;
  int64_t counter(int index) const;
  /// After Run: a named output; valid until the next Run of any program over the same arena.
  std::span<const std::byte> output(const std::string& name) const;
  /// Where a value lies: how results are found in a device's memory.
  void* Address(graph::ValueId id) const;

 private:
  std::shared_ptr<const ProgramPlan> plan_;
  Buffer own_inputs_;
  std::vector<void*> addresses_;  ///< by ValueId
  graph::StepBlock* step_block_ = nullptr;
  graph::StepBlock unread_;  ///< stands in where the graph has none
  std::vector<std::unique_ptr<Kernel>> kernels_;
};

}  // namespace lockstep::engine
