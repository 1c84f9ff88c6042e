// cuDNN's calls, checked, and its backend descriptors, freed with their objects.
#pragma once

#include <cudnn.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace lockstep::cuda {

/// Throws for a status other than CUDNN_STATUS_SUCCESS, with cuDNN's own words: Error(kUsage) where memory ran out
/// or parts of cuDNN are missing, Error(kPeer) where the device failed, else Error(kInternal).
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
  /// False where cuDNN doesn't support it: what an engine says to a graph that it can't run.
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

template <typename T>
std::vector<T> CudnnDescriptor::GetAll(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                       int64_t capacity) const {
  int64_t count = 0;
  std::vector<T> values(static_cast<size_t>(capacity));
  CUDNN_CHECK(cudnnBackendGetAttribute(native(), name, type, capacity, &count, values.data()));
  values.resize(static_cast<size_t>(std::min(count, capacity)));
  return values;
}

}  // namespace lockstep::cuda
