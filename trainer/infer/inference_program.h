// A graph compiled for inference (no gradients, no lanes), with memory of its own and the packed weights it needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/memory.h"
#include "trainer/engine/backend.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/engine/program.h"
#include "trainer/graph/graph.h"

namespace lockstep::infer {

/// What is needed of a trained model to run graphs of it. All outlive the programs.
struct Weights {
  const engine::ParameterLayout& layout;
  engine::Backend& backend;
  const float* arena;
};

/// One thread at a time.
class InferenceProgram {
 public:
  /// `states`: memory of the graph's states, by name; may be null where there are none.
  InferenceProgram(const graph::Graph& graph, const Weights& weights,
                   const std::map<std::string, std::byte*>* states = nullptr);

  /// To be called again when the weights have changed.
  void PackWeights();
  /// The memory of an input, to be filled before Run; empty where the graph has none of that name.
  template <typename T>
  std::span<T> Input(const std::string& name) {
    const std::span<std::byte> bytes = program_->input(name);
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  /// States then hold what comes next.
  void Run();
  /// Valid until the next Run.
  template <typename T>
  std::span<const T> Output(const std::string& name) const {
    const std::span<const std::byte> bytes = program_->output(name);
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  const graph::Graph& graph() const { return plan_->graph; }

 private:
  std::shared_ptr<const engine::ProgramPlan> plan_;
  Buffer arena_, workspace_;
  std::unique_ptr<engine::PackedWeights> packed_;
  std::unique_ptr<engine::Program> program_;
  const std::map<std::string, std::byte*>* states_;
};

}  // namespace lockstep::infer
