// What cuDNN is told, as it is told: descriptors' attributes, graphs and addresses. This library's functions take the
// place of cuDNN's, and call them. A recorded graph can be computed here, in double precision: what a graph says is
// then known without a GPU, whatever an engine makes of it.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace lockstep::cuda {

/// Execution plans that were made in this process.
int PlansMade();

/// A descriptor, and the ones it refers to, as they were when it referred to them.
struct RecordedDescriptor {
  std::map<cudnnBackendAttributeName_t, std::vector<int64_t>> numbers;
  std::map<cudnnBackendAttributeName_t, std::vector<std::shared_ptr<const RecordedDescriptor>>> parts;

  int64_t Number(cudnnBackendAttributeName_t name) const { return numbers.at(name).at(0); }
  bool Flag(cudnnBackendAttributeName_t name) const { return numbers.contains(name) && Number(name) != 0; }
};

/// Records while it lives; one at a time.
class CudnnRecording {
 public:
  CudnnRecording();
  ~CudnnRecording();
  CudnnRecording(const CudnnRecording&) = delete;
  CudnnRecording& operator=(const CudnnRecording&) = delete;

  /// Finished descriptors that have `name`, in order: operation graphs have CUDNN_ATTR_OPERATIONGRAPH_OPS, addresses
  /// CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS.
  std::vector<RecordedDescriptor> With(cudnnBackendAttributeName_t name) const;

  std::map<cudnnBackendDescriptor_t, RecordedDescriptor> open;
  std::vector<RecordedDescriptor> finished;
};

/// Computes a graph's operations in order, on memory of the host, with the addresses of `pack`. Tensors are rounded to
/// their types. Knows what graphs of attention are made of.
void ComputeGraph(const RecordedDescriptor& graph, const RecordedDescriptor& pack);

}  // namespace lockstep::cuda
