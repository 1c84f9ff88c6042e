// Attention by cuDNN: one kernel that keeps scores on the chip, forward, and three for the gradient.
//
// What cuDNN runs is decided by the graph that it is given as much as by its engines, and for one gradient there are
// two graphs. In one, blocks of keys add their parts of dquery to floats in memory, in whatever order they come: bits
// change from run to run, and no engine says so (2026-11-22, cuDNN 9.19, sm_90: engines 6 and 7 take it, with numerical
// notes TENSOR_CORE alone; llm.c saw the bits change). In the other, which is ours, dquery is a product of its own: the
// scores' gradient lies in the workspace in bf16, [rows, heads, positions, positions], and each sum is one block's, in
// one order (engines 6 and 7 again, same notes; NVIDIA's cudnn-frontend takes this graph on Hopper where it is told to
// be deterministic). That workspace is why the gradient goes through the rows in parts (GradientRows). Forward nothing
// is shared: engines 1 and 2, which want lse, also where nobody reads it.
//
// lse means here what it means in the graph: the log of the sum of exponentials of scaled scores. A position always
// sees itself.
//
// One thread at a time uses an object and the kernels that it prepared.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "trainer/kernels/cuda/dense/cudnn_graph.h"
#include "trainer/kernels/cuda/dense/dense_library.h"

namespace lockstep::cuda {

class CudnnAttention final : public AttentionLibrary {
 public:
  explicit CudnnAttention(CudnnDevice device) : device_(std::move(device)) {}

  bool Supports(const AttentionSpec& spec) override;
  size_t WorkspaceBytes(const AttentionSpec& spec) override;
  /// REQUIRES: the device is more than a description.
  std::unique_ptr<engine::Kernel> Prepare(const AttentionSpec& spec, const AttentionOperands& operands,
                                          DeviceStream& stream) override;

  /// What Prepare's kernel runs. REQUIRES: Supports(spec).
  std::vector<CudnnBinding> Bindings(const AttentionSpec& spec, const AttentionOperands& operands);
  /// "engine 6 (tensor cores), 16 rows at once": for logs and tests. REQUIRES: Supports(spec).
  std::string Describe(const AttentionSpec& spec);

 private:
  /// Numbers that kernels read as they are launched.
  struct Numbers {
    float scale, one = 1, lowest;
  };
  struct Planned {
    AttentionSpec spec;
    std::unique_ptr<CudnnPlan> plan;  ///< nullptr: there is none
    int64_t rows = 0;                 ///< that it takes at once
    size_t statistic_bytes = 0;       ///< before the plan's workspace: dots, or an lse that nobody reads, of all rows
    Numbers numbers;
  };

  /// Asks once for each spec.
  const Planned& PlannedFor(const AttentionSpec& spec);
  CudnnBinding Bind(const Planned& planned, const AttentionOperands& operands, int64_t first_row) const;

  CudnnDevice device_;
  std::vector<std::unique_ptr<Planned>> planned_;  ///< dozens at most; kernels refer to them
};

}  // namespace lockstep::cuda
