#include "trainer/kernels/cuda/dense/cudnn_descriptor.h"

#include <array>
#include <string>

#include "base/error.h"

namespace lockstep::cuda {
namespace {

/// What cuDNN wrote about this thread's last failure.
std::string LastWords() {
  std::array<char, 2048> text{};
  cudnnGetLastErrorString(text.data(), text.size());
  return text.data();
}

bool OutOfMemory(cudnnStatus_t status) {
  return status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
         status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
}

/// Libraries that an engine needs are not installed, or don't fit each other.
bool Incomplete(cudnnStatus_t status) {
  return status == CUDNN_STATUS_NOT_SUPPORTED_RUNTIME_PREREQUISITE_MISSING ||
         status == CUDNN_STATUS_NOT_SUPPORTED_SUBLIBRARY_UNAVAILABLE ||
         status == CUDNN_STATUS_SUBLIBRARY_LOADING_FAILED || status == CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH;
}

}  // namespace

void CheckCudnn(cudnnStatus_t status, const char* expression, const char* file, int line) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  const std::string text = fmt::format("{} failed: {}: {}", expression, cudnnGetErrorString(status), LastWords());
  const std::string where = fmt::format("{}:{}", file, line);
  if (OutOfMemory(status)) {
    throw Error(ErrorKind::kMemory, text, where, "the device or the host has too little memory for it");
  }
  if (Incomplete(status)) {
    throw Error(ErrorKind::kUsage, text, where,
                "cuDNN is incomplete here: install all of its libraries, of one version, and NVRTC");
  }
  if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_EXECUTION_FAILED || status == CUDNN_STATUS_NOT_INITIALIZED) {
    throw Error(ErrorKind::kPeer, text, where,
                "the device or its driver failed: start again, elsewhere if it happens again");
  }
  throw Error(ErrorKind::kInternal, text, where);
}

CudnnDescriptor::CudnnDescriptor(cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t made = nullptr;
  CUDNN_CHECK(cudnnBackendCreateDescriptor(type, &made));
  descriptor_.reset(made);
}
CudnnDescriptor& CudnnDescriptor::Set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                                      const void* values) {
  CUDNN_CHECK(cudnnBackendSetAttribute(native(), name, type, count, values));
  return *this;
}
CudnnDescriptor& CudnnDescriptor::Set(cudnnBackendAttributeName_t name, int64_t value) {
  return Set(name, CUDNN_TYPE_INT64, 1, &value);
}
CudnnDescriptor& CudnnDescriptor::Set(cudnnBackendAttributeName_t name, std::span<const int64_t> values) {
  return Set(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.data());
}
CudnnDescriptor& CudnnDescriptor::Set(cudnnBackendAttributeName_t name, bool value) {
  return Set(name, CUDNN_TYPE_BOOLEAN, 1, &value);
}
CudnnDescriptor& CudnnDescriptor::Set(cudnnBackendAttributeName_t name, float value) {
  return Set(name, CUDNN_TYPE_FLOAT, 1, &value);
}
CudnnDescriptor& CudnnDescriptor::Set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
  return Set(name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}
CudnnDescriptor& CudnnDescriptor::Set(cudnnBackendAttributeName_t name, cudnnHandle_t value) {
  return Set(name, CUDNN_TYPE_HANDLE, 1, &value);
}
CudnnDescriptor& CudnnDescriptor::Set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
  const cudnnBackendDescriptor_t native = value.native();
  return Set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &native);
}
CudnnDescriptor& CudnnDescriptor::Set(cudnnBackendAttributeName_t name, std::span<const CudnnDescriptor> values) {
  std::vector<cudnnBackendDescriptor_t> natives;
  for (const CudnnDescriptor& value : values) natives.push_back(value.native());
  return Set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(natives.size()), natives.data());
}

void CudnnDescriptor::Finalize() { CUDNN_CHECK(cudnnBackendFinalize(native())); }

bool CudnnDescriptor::TryFinalize() {
  const cudnnStatus_t status = cudnnBackendFinalize(native());
  // What the machine lacks is no reason to go on to another engine: the choice would depend on more than shapes.
  if (CUDNN_STATUS_CATEGORY(status) != CUDNN_STATUS_NOT_SUPPORTED || Incomplete(status)) CUDNN_CHECK(status);
  return status == CUDNN_STATUS_SUCCESS;
}

int64_t CudnnDescriptor::GetInt(cudnnBackendAttributeName_t name) const {
  int64_t value = 0, count = 0;
  CUDNN_CHECK(cudnnBackendGetAttribute(native(), name, CUDNN_TYPE_INT64, 1, &count, &value));
  return value;
}
void CudnnDescriptor::Get(cudnnBackendAttributeName_t name, CudnnDescriptor& value) const {
  int64_t count = 0;
  cudnnBackendDescriptor_t filled = value.native();
  CUDNN_CHECK(cudnnBackendGetAttribute(native(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &filled));
}
std::vector<CudnnDescriptor> CudnnDescriptor::GetAll(cudnnBackendAttributeName_t name,
                                                     cudnnBackendDescriptorType_t type,
                                                     std::optional<int64_t> capacity) const {
  int64_t count = 0;
  if (!capacity)
    CUDNN_CHECK(cudnnBackendGetAttribute(native(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
  const int64_t room = capacity.value_or(count);
  std::vector<CudnnDescriptor> values;
  std::vector<cudnnBackendDescriptor_t> natives;
  for (int64_t i = 0; i < room; ++i) natives.push_back(values.emplace_back(type).native());
  if (room == 0) return values;
  CUDNN_CHECK(cudnnBackendGetAttribute(native(), name, CUDNN_TYPE_BACKEND_DESCRIPTOR, room, &count, natives.data()));
  values.erase(values.begin() + std::min(count, room), values.end());
  return values;
}

}  // namespace lockstep::cuda
