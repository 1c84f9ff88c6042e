// cuDNN's graphs of operations, and the choice of an engine that runs one. The choice is cuDNN's
// heuristic's order, filtered by what the engines say about themselves: a function of shapes, types, the device and
// cuDNN's version.
#pragma once

#include <cudnn.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/device.h"
#include "base/shape.h"
#include "trainer/engine/backend.h"
#include "trainer/kernels/cuda/dense/cudnn_descriptor.h"

namespace lockstep::cuda {

/// Where plans are for: the device of the calling thread, or one that is only described, for which plans can be built
/// and not run.
class CudnnDevice {
 public:
  /// The device that the calling thread uses.
  CudnnDevice();
  /// A device described by `properties`, the text of CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION.
  explicit CudnnDevice(const std::string& properties);

  /// nullptr where the device is only described.
  cudnnHandle_t handle() const { return handle_.get(); }
  const std::optional<CudnnDescriptor>& properties() const { return properties_; }

 private:
  struct Destroy {
    void operator()(cudnnHandle_t handle) const { (void)cudnnDestroy(handle); }
  };
  std::unique_ptr<cudnnContext, Destroy> handle_;
  std::optional<CudnnDescriptor> properties_;
};

/// What may run a graph.
struct EngineRules {
  bool tensor_cores = false;  ///< engines on matrix units, which round float operands to TF32
  size_t workspace_limit = 0;
};

/// A graph that is ready to run on addresses given by tensor id.
class CudnnPlan {
 public:
  CudnnPlan(CudnnDescriptor config, CudnnDescriptor plan, std::vector<int64_t> operands, std::string description);

  /// The ids of the graph's operands.
  const std::vector<int64_t>& operands() const { return operands_; }
  size_t workspace_bytes() const { return workspace_bytes_; }
  /// "engine 47: tensor cores; split_k_slc 4": for logs and tests.
  const std::string& description() const { return description_; }
  const CudnnDescriptor& plan() const { return plan_; }

 private:
  CudnnDescriptor config_, plan_;
  std::vector<int64_t> operands_;
  size_t workspace_bytes_;
  std::string description_;
};

/// A plan with its addresses.
class CudnnBinding {
 public:
  /// `addresses` by operand id.
  CudnnBinding(const CudnnPlan& plan, std::span<const void* const> addresses, std::byte* workspace);
  void Run(cudnnHandle_t handle) const {
    CUDNN_CHECK(cudnnBackendExecute(handle, plan_.plan().native(), pack_.native()));
  }

 private:
  const CudnnPlan& plan_;
  CudnnDescriptor pack_;
};

/// Runs bindings on a stream, one behind the other. The plans and what addresses point to outlive it.
std::unique_ptr<engine::Kernel> MakeCudnnKernel(cudnnHandle_t handle, DeviceStream& stream,
                                                std::vector<CudnnBinding> steps);

/// Sizes, and how many elements lie between neighbours on each axis.
struct CudnnLayout {
  std::array<int64_t, 4> sizes, strides;

  /// Sizes n, c, h, w of a tensor that lies as n, h, w, c.
  static CudnnLayout Nhwc(const std::array<int64_t, 4>& nchw);
  /// As the sizes say, without gaps.
  static CudnnLayout Dense(const std::array<int64_t, 4>& sizes);
};

/// By axis: height, width. Padding is on both sides.
struct ConvolutionGeometry {
  std::array<int64_t, 2> strides = {1, 1}, paddings = {0, 0}, dilations = {1, 1};
};

/// A graph of operations on four-dimensional tensors. Operations are given in order.
class CudnnGraph {
 public:
  /// An index into the graph's tensors.
  struct Tensor {
    size_t index;
  };

  /// A tensor in memory, known by a small number.
  Tensor Operand(int64_t id, const CudnnLayout& layout, DType type);
  /// A tensor between operations: nowhere in memory.
  Tensor Between(const CudnnLayout& layout, cudnnDataType_t type = CUDNN_DATA_FLOAT);
  /// A float in the host's memory, known by a small number, that is read when a plan is run.
  Tensor Number(int64_t id);

  void Forward(const ConvolutionGeometry& geometry, Tensor x, Tensor filter, Tensor y);
  void InputGrad(const ConvolutionGeometry& geometry, Tensor dy, Tensor filter, Tensor dx);
  void WeightGrad(const ConvolutionGeometry& geometry, Tensor x, Tensor dy, Tensor dfilter);
  /// y = a + b, where b may have sizes of 1.
  void Add(Tensor a, Tensor b, Tensor y);
  void Relu(Tensor x, Tensor y);

  /// y = f(x), or f(x, b).
  void Pointwise(cudnnPointwiseMode_t mode, Tensor x, std::optional<Tensor> b, Tensor y);
  /// y = where ? a : b.
  void Select(Tensor where, Tensor a, Tensor b, Tensor y);
  /// y = a >= b, of integers.
  void AtLeast(Tensor a, Tensor b, Tensor y);
  /// y is the place on `axis`; x gives the sizes.
  void Index(Tensor x, int64_t axis, Tensor y);
  /// Over the axes where y's size is 1.
  void Reduce(cudnnReduceTensorOp_t operation, Tensor x, Tensor y);
  /// Of matrices on the last two axes, summed in float.
  void Multiply(Tensor a, Tensor b, Tensor y);
  /// The same elements in another layout.
  void Reshape(Tensor x, Tensor y);

  /// The first engine that the heuristic offers and the rules allow. nullptr where there is none.
  std::unique_ptr<CudnnPlan> Plan(const CudnnDevice& device, const EngineRules& rules) const;

 private:
  enum class Place { kDevice, kNowhere, kHost };

  Tensor AddTensor(int64_t id, const CudnnLayout& layout, cudnnDataType_t type, Place place);
  const CudnnDescriptor& At(Tensor tensor) const { return tensors_[tensor.index]; }
  struct PointwiseFunction {
    cudnnPointwiseMode_t mode;
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    std::optional<int64_t> axis = {};
  };
  void AddPointwise(const PointwiseFunction& function, Tensor x, std::optional<Tensor> b, std::optional<Tensor> where,
                    Tensor y);

  std::vector<CudnnDescriptor> tensors_;
  std::vector<CudnnDescriptor> operations_;
  std::vector<int64_t> operands_;
  int64_t next_virtual_id_ = -1;
};

}  // namespace lockstep::cuda
