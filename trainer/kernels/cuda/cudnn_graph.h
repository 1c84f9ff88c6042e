// cuDNN's backend API behind small types: descriptors, graphs of operations on NHWC images, and the choice of an engine
// that runs one. The choice is cuDNN's heuristic's order, filtered by what the engines say about themselves: a function
// of shapes, types, the device and cuDNN's version.
//
// Calls that fail throw: Error(kUsage) where memory ran out, Error(kPeer) where the device failed, else
// Error(kInternal), with cuDNN's own words.
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

#include "base/shape.h"
#include "trainer/kernels/cuda/dense_library.h"

namespace lockstep::cuda {

/// Throws for a status other than CUDNN_STATUS_SUCCESS.
void CheckCudnn(cudnnStatus_t status, const char* expression, const char* file, int line);

#define CUDNN_CHECK(expression) ::lockstep::cuda::CheckCudnn((expression), #expression, __FILE__, __LINE__)

/// A backend descriptor: attributes are set, then Finalize, then it is read.
class CudnnDescriptor {
 public:
  explicit CudnnDescriptor(cudnnBackendDescriptorType_t type);

  CudnnDescriptor& Set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                       const void* values);
  CudnnDescriptor& Set(cudnnBackendAttributeName_t name, int64_t value);
  CudnnDescriptor& Set(cudnnBackendAttributeName_t name, std::span<const int64_t> values);
  CudnnDescriptor& Set(cudnnBackendAttributeName_t name, bool value);
  CudnnDescriptor& Set(cudnnBackendAttributeName_t name, float value);
  CudnnDescriptor& Set(cudnnBackendAttributeName_t name, cudnnDataType_t value);
  CudnnDescriptor& Set(cudnnBackendAttributeName_t name, cudnnHandle_t value);
  CudnnDescriptor& Set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value);
  CudnnDescriptor& Set(cudnnBackendAttributeName_t name, std::span<const CudnnDescriptor> values);
  void Finalize();
  /// False where cuDNN has nothing for it: what an engine says to a graph that it can't run.
  [[nodiscard]] bool TryFinalize();

  int64_t GetInt(cudnnBackendAttributeName_t name) const;
  void Get(cudnnBackendAttributeName_t name, CudnnDescriptor& value) const;
  /// All elements of an array attribute, up to `capacity`.
  template <typename T>
  std::vector<T> GetAll(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t capacity) const;
  /// `type` is the elements'. Some attributes tell how many there are, others have to be given room: `capacity`.
  std::vector<CudnnDescriptor> GetAll(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                      std::optional<int64_t> capacity = {}) const;

  cudnnBackendDescriptor_t native() const { return descriptor_.get(); }

 private:
  struct Destroy {
    using pointer = cudnnBackendDescriptor_t;
    void operator()(pointer descriptor) const { (void)cudnnBackendDestroyDescriptor(descriptor); }
  };
  std::unique_ptr<void, Destroy> descriptor_;
};

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

/// The same on both axes; padding on both sides.
struct ConvolutionGeometry {
  int64_t stride = 1, padding = 0;
};

/// A graph of operations on four-dimensional tensors. Operations are given in order.
class CudnnGraph {
 public:
  /// An index into the graph's tensors.
  struct Tensor {
    size_t index;
  };

  /// A tensor in memory, known by a small number. `nchw` are logical sizes; it lies as NHWC.
  Tensor Operand(int64_t id, const std::array<int64_t, 4>& nchw, DType type);
  /// A tensor between operations: float, nowhere in memory.
  Tensor Between(const std::array<int64_t, 4>& nchw);

  void Forward(const ConvolutionGeometry& geometry, Tensor x, Tensor filter, Tensor y);
  void InputGrad(const ConvolutionGeometry& geometry, Tensor dy, Tensor filter, Tensor dx);
  void WeightGrad(const ConvolutionGeometry& geometry, Tensor x, Tensor dy, Tensor dfilter);
  /// y = a + b, where b may have sizes of 1.
  void Add(Tensor a, Tensor b, Tensor y);
  void Relu(Tensor x, Tensor y);

  /// The first engine that the heuristic offers and the rules allow. nullptr where there is none.
  std::unique_ptr<CudnnPlan> Plan(const CudnnDevice& device, const EngineRules& rules) const;

 private:
  Tensor AddTensor(int64_t id, const std::array<int64_t, 4>& nchw, cudnnDataType_t type, bool is_virtual);
  const CudnnDescriptor& At(Tensor tensor) const { return tensors_[tensor.index]; }
  void Pointwise(cudnnPointwiseMode_t mode, Tensor x, const Tensor* b, Tensor y);

  std::vector<CudnnDescriptor> tensors_;
  std::vector<CudnnDescriptor> operations_;
  std::vector<int64_t> operands_;
  int64_t next_virtual_id_ = -1;
};

}  // namespace lockstep::cuda
