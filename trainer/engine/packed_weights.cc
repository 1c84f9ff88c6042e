#include "base/error.h"
#include "trainer/engine/program.h"

namespace lockstep::engine {

PackedWeights::PackedWeights(const ProgramPlan& plan, const ParameterLayout& layout, Backend& backend,
                             const float* parameters, std::span<std::byte> memory) {
  CHECK(memory.empty() || memory.size() >= plan.packed_bytes, "{} bytes for packed weights", memory.size());
  if (memory.empty()) own_ = Buffer(plan.packed_bytes);
  data_ = memory.empty() ? own_.data() : memory.data();
  for (const ProgramPlan::PackedOperand& packed : plan.packed) {
    if (packed.shared) continue;
    const graph::Op& op = plan.graph.ops[static_cast<size_t>(packed.op)];
    const graph::Value& parameter = plan.graph.value(op.inputs[static_cast<size_t>(packed.input)]);
    const ArenaEntry* entry = layout.Find(parameter.name);
    CHECK(entry != nullptr, "{} is not in the layout", parameter.name);
    kernels_.push_back(
        backend.PreparePack(plan.graph, op, packed.input, parameters + entry->offset, data_ + packed.offset));
  }
}

}  // namespace lockstep::engine
