#include "trainer/graph/graph.h"

namespace lockstep::graph {

ValueId Graph::Find(std::string_view name) const {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].name == name) return static_cast<ValueId>(i);
  }
  return kNoValue;
}

}  // namespace lockstep::graph
