// Convolutions by cuDNN, forward with bias and relu in the same kernel where there is an engine for that.
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

class CudnnConvolutions {
 public:
  CudnnConvolutions(CudnnDevice device, FloatMath math) : device_(std::move(device)), math_(math) {}

  size_t WorkspaceBytes(const ConvolutionSpec& spec) { return PlannedFor(spec).workspace_bytes; }
  /// The engines, in the order in which they run: for logs and tests.
  std::string Describe(const ConvolutionSpec& spec);
  /// REQUIRES: the device is more than a description.
  std::unique_ptr<engine::Kernel> Prepare(const ConvolutionSpec& spec, const ConvolutionOperands& operands,
                                          DeviceStream& stream);

 private:
  /// One plan, or where no engine does it all: the convolution, then what is done to its result in place.
  struct Planned {
    ConvolutionSpec spec;
    std::vector<std::unique_ptr<CudnnPlan>> steps;
    size_t workspace_bytes = 0;  ///< of the hungriest step
  };

  /// Throws Error(kInternal) naming the spec where there is no engine for it.
  const Planned& PlannedFor(const ConvolutionSpec& spec);
  std::vector<std::unique_ptr<CudnnPlan>> FindPlans(const ConvolutionSpec& spec) const;

  CudnnDevice device_;
  FloatMath math_;
  std::vector<std::unique_ptr<Planned>> planned_;  ///< dozens at most; kernels refer to its plans
};

}  // namespace lockstep::cuda
