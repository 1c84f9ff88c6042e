// Where parameters and running statistics lie in the parameter arena, and in every array parallel to it (gradients,
// optimizer state, EMA): an array of floats.
//
// Parameters stand in reverse creation order (gradients become ready roughly in that order), logical row-major, each
// padded to kValueAlignment; then, from a chunk edge on, running statistics in creation order. The layout depends on
// the source graph alone: not on passes, backends, buckets or ranks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/shape.h"
#include "trainer/graph/graph.h"

namespace lockstep::engine {

struct ArenaEntry {
  std::string name;
  Shape shape;
  graph::ValueId value = graph::kNoValue;  ///< in the source graph
  int64_t offset = 0;                      ///< in elements
  bool statistic = false;

  int64_t size() const { return shape.size(); }
};

class ParameterLayout {
 public:
  explicit ParameterLayout(const graph::Graph& graph);

  const std::vector<ArenaEntry>& entries() const { return entries_; }  ///< by ascending offset
  /// nullptr where there is none of that name.
  const ArenaEntry* Find(const std::string& name) const;
  int64_t elements() const { return elements_; }                      ///< of the arena, a multiple of the chunk
  int64_t parameter_elements() const { return parameter_elements_; }  ///< statistics start here, at a chunk edge
  int64_t parameter_count() const { return parameter_count_; }        ///< without padding and statistics

 private:
  std::vector<ArenaEntry> entries_;
  int64_t elements_ = 0, parameter_elements_ = 0, parameter_count_ = 0;
};

/// XXH3-64 over all parameters (not statistics) in ascending name order: name bytes, then little-endian float32 bytes.
uint64_t HashWeights(const ParameterLayout& layout, const float* arena);

}  // namespace lockstep::engine
