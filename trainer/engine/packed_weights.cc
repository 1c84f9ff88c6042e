#include "trainer/engine/packed_weights.h"

#include <set>
#include <utility>

#include "base/error.h"

namespace lockstep::engine {
namespace {

const std::string& ParameterOf(const ProgramPlan& plan, const ProgramPlan::PlannedCopy& copy) {
  return plan.graph.value(plan.graph.ops[static_cast<size_t>(copy.op)].inputs[static_cast<size_t>(copy.input)]).name;
}

}  // namespace

PackedCopy::PackedCopy(const ProgramPlan& plan, const ProgramPlan::PlannedCopy& copy, const ParameterLayout& layout,
                       Backend& backend, const float* parameters, std::span<std::byte> memory)
    : parameter_(ParameterOf(plan, copy)), layout_(copy.layout) {
  if (memory.empty()) own_ = Buffer(copy.bytes);
  data_ = memory.empty() ? own_.data() : memory.data();
  const ArenaEntry* entry = layout.Find(parameter_);
  CHECK(entry != nullptr, "{} is not in the layout", parameter_);
  kernel_ = backend.PreparePack(plan.graph, plan.graph.ops[static_cast<size_t>(copy.op)], copy.input,
                                parameters + entry->offset, data_);
}

bool PackedCopy::Is(const ProgramPlan& plan, const ProgramPlan::PlannedCopy& copy) const {
  return layout_ >= 0 && layout_ == copy.layout && parameter_ == ParameterOf(plan, copy);
}

PackedWeights::PackedWeights(const ProgramPlan& plan, const ParameterLayout& layout, Backend& backend,
                             const float* parameters, std::span<std::byte> memory,
                             std::span<const std::unique_ptr<PackedWeights>> others) {
  CHECK(memory.empty() || memory.size() >= plan.packed_bytes, "{} bytes for packed weights", memory.size());
  for (const ProgramPlan::PlannedCopy& copy : plan.copies) {
    const auto known = [&]() -> std::shared_ptr<PackedCopy> {
      for (const auto& other : others)
        for (const auto& candidate : other->copies_)
          if (candidate->Is(plan, copy)) return candidate;
      return nullptr;
    }();
    const size_t bytes = memory.empty() ? 0 : copy.bytes;
    copies_.push_back(
        known ? known : std::make_shared<PackedCopy>(plan, copy, layout, backend, parameters, memory.first(bytes)));
    memory = memory.subspan(bytes);
  }
}

void PackedWeights::Pack() {
  for (const auto& copy : copies_) copy->Pack();
}

size_t PackedBytes(std::span<const std::shared_ptr<const ProgramPlan>> plans) {
  std::set<std::pair<std::string, int>> known;
  size_t bytes = 0;
  for (const auto& plan : plans)
    for (const ProgramPlan::PlannedCopy& copy : plan->copies)
      if (copy.layout < 0 || known.emplace(ParameterOf(*plan, copy), copy.layout).second) bytes += copy.bytes;
  return bytes;
}

}  // namespace lockstep::engine
