#include "trainer/infer/inference_program.h"
#include "trainer/engine/compile.h"

#include <cstring>

namespace lockstep::infer {

InferenceProgram::InferenceProgram(const graph::Graph& graph, const Weights& weights,
                                   const std::map<std::string, std::byte*>* states)
    : states_(states) {
  engine::CompileOptions options;
  options.mode = graph::Mode::kInfer;
  plan_ = std::make_shared<engine::ProgramPlan>(engine::Compile(graph, weights.layout, weights.backend, options));
  arena_ = Buffer(static_cast<size_t>(plan_->memory.bytes));
  workspace_ = Buffer(plan_->workspace_bytes);
  packed_ = std::make_unique<engine::PackedWeights>(*plan_, weights.layout, weights.backend, weights.arena);
  engine::Program::Bindings bindings;
  bindings.parameters = weights.arena;
  bindings.packed = packed_.get();
  bindings.arena = {arena_.data(), arena_.size()};
  bindings.workspace = {workspace_.data(), workspace_.size()};
  bindings.states = states;
  program_ = std::make_unique<engine::Program>(plan_, weights.layout, weights.backend, bindings);
  PackWeights();
}

void InferenceProgram::PackWeights() { packed_->Pack(); }

void InferenceProgram::Run() {
  program_->Run(nullptr);
  if (states_ == nullptr) return;
  for (const auto& [name, state] : *states_) {
    const auto next = plan_->graph.outputs.find(graph::kNextState + name);
    if (next == plan_->graph.outputs.end()) continue;
    const std::span<const std::byte> value = program_->output(next->first);
    if (value.data() != state) std::memcpy(state, value.data(), value.size());
  }
}

}  // namespace lockstep::infer
