// A compiled model: the graph that its kernels follow, and where everything lies. Immutable, shared by all executors of
// a rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "trainer/graph/graph.h"
#include "trainer/passes/passes.h"

namespace lockstep::engine {

struct ProgramPlan {
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

  size_t forward_ops = 0;  ///< those up to the last loss; all of them where there is none
  double flops = 0;        ///< of one run
};

}  // namespace lockstep::engine
