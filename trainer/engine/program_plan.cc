#include "trainer/engine/program_plan.h"

namespace lockstep::engine {

graph::ValueId ProgramPlan::Input(const std::string& name) const {
  for (size_t id = 0; id < graph.values.size(); ++id) {
    if (graph.values[id].role == graph::Role::kInput && graph.values[id].name == name)
      return static_cast<graph::ValueId>(id);
  }
  return graph::kNoValue;
}

}  // namespace lockstep::engine
