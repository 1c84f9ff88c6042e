// A Program: a model compiled for one lane, one mode and one batch: kernels in order, over a planned activation arena.
//
// Compile (compile.h) makes a ProgramPlan, which all executors of a rank share. Each executor makes its own Program
// from it: kernels with resolved addresses into its own activation arena and gradient arena.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/memory.h"
#include "trainer/engine/backend.h"
#include "trainer/engine/packed_weights.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/engine/program_plan.h"
#include "trainer/graph/graph.h"
#include "trainer/graph/step_block.h"
#include "trainer/profile/event_log.h"

namespace lockstep::engine {

class Program {
 public:
  struct Bindings {
    const float* parameters = nullptr;  ///< the parameter arena
    float* gradients = nullptr;         ///< the gradient arena of this executor: lane gradients and lane statistics
    const PackedWeights* packed = nullptr;
    std::span<std::byte> arena = {};      ///< at least plan.memory.bytes; all programs of an executor share one
    std::span<std::byte> workspace = {};  ///< at least plan.workspace_bytes
    std::span<std::byte> inputs = {};     ///< at least plan.input_bytes; empty: the program's own
    /// Parameters whose gradients are added to what the gradient arena holds, of AddableGradients; null: none.
    const std::set<std::string>* added = nullptr;
    const std::map<std::string, std::byte*>* states = nullptr;  ///< by name: memory that outlives the program
  };
  Program(std::shared_ptr<const ProgramPlan> plan, const ParameterLayout& layout, Backend& backend,
          const Bindings& bindings);

  const ProgramPlan& plan() const { return *plan_; }
  /// The memory of an input, to be filled before Run. Empty where the graph has no such input.
  std::span<std::byte> input(const std::string& name);
  /// To be filled before Run, where inputs lie in memory of the host.
  graph::StepBlock& step_block() { return *step_block_; }

  /// Runs all kernels in order. `on_bucket(k)` is called as soon as bucket k is ready; may be null. `log`, where it is
  /// not null, gets each op and each call of `on_bucket`.
  void Run(const std::function<void(int bucket)>& on_bucket, profile::EventLog* log = nullptr);
  /// What the last Run took until its losses were known, in seconds; of all ops where there are no losses.
  double forward_seconds() const { return forward_seconds_; }

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
  double forward_seconds_ = 0;
};

}  // namespace lockstep::engine
