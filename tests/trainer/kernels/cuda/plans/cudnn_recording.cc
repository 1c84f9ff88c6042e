#include "tests/trainer/kernels/cuda/plans/cudnn_recording.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/bfloat16.h"
#include "base/error.h"

namespace lockstep::cuda {
namespace {

int plans_made = 0;
CudnnRecording* recording = nullptr;

template <typename F>
F Next(F, const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

template <typename T>
std::vector<int64_t> Numbers(const void* values, int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, static_cast<const std::byte*>(values) + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    numbers.push_back(static_cast<int64_t>(value));
  }
  return numbers;
}

void Record(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
            int64_t count, const void* values) {
  RecordedDescriptor& record = recording->open[descriptor];
  switch (type) {
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
      for (const int64_t part : Numbers<intptr_t>(values, count)) {
        const auto key = reinterpret_cast<cudnnBackendDescriptor_t>(part);
        record.parts[name].push_back(std::make_shared<RecordedDescriptor>(recording->open[key]));
      }
      break;
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_VOID_PTR:
      record.numbers[name] = Numbers<int64_t>(values, count);
      break;
    case CUDNN_TYPE_BOOLEAN:
      record.numbers[name] = Numbers<bool>(values, count);
      break;
    case CUDNN_TYPE_DATA_TYPE:
    case CUDNN_TYPE_POINTWISE_MODE:
    case CUDNN_TYPE_REDUCTION_OPERATOR_TYPE:
      record.numbers[name] = Numbers<int32_t>(values, count);
      break;
    default:
      break;
  }
}

}  // namespace
}  // namespace lockstep::cuda

extern "C" cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                                      cudnnBackendDescriptor_t* descriptor) {
  using namespace lockstep::cuda;
  static const auto next = Next(&cudnnBackendCreateDescriptor, "cudnnBackendCreateDescriptor");
  if (type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) ++plans_made;
  const cudnnStatus_t status = next(type, descriptor);
  if (recording != nullptr) recording->open[*descriptor] = {};  // an address that was another's
  return status;
}

extern "C" cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                                  cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  using namespace lockstep::cuda;
  static const auto next = Next(&cudnnBackendSetAttribute, "cudnnBackendSetAttribute");
  if (recording != nullptr) Record(descriptor, name, type, count, values);
  return next(descriptor, name, type, count, values);
}

extern "C" cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  using namespace lockstep::cuda;
  static const auto next = Next(&cudnnBackendFinalize, "cudnnBackendFinalize");
  if (recording != nullptr) recording->finished.push_back(recording->open[descriptor]);
  return next(descriptor);
}

namespace lockstep::cuda {

int PlansMade() { return plans_made; }

CudnnRecording::CudnnRecording() {
  CHECK(recording == nullptr);
  recording = this;
}
CudnnRecording::~CudnnRecording() { recording = nullptr; }

std::vector<RecordedDescriptor> CudnnRecording::With(cudnnBackendAttributeName_t name) const {
  std::vector<RecordedDescriptor> found;
  for (const RecordedDescriptor& descriptor : finished)
    if (descriptor.numbers.contains(name) || descriptor.parts.contains(name)) found.push_back(descriptor);
  return found;
}

namespace {

/// Four nested loops over `sizes`.
template <typename Visit>
void ForEachIndex(const std::vector<int64_t>& sizes, Visit&& visit) {
  std::array<int64_t, 4> at = {};
  for (at[0] = 0; at[0] < sizes[0]; ++at[0])
    for (at[1] = 0; at[1] < sizes[1]; ++at[1])
      for (at[2] = 0; at[2] < sizes[2]; ++at[2])
        for (at[3] = 0; at[3] < sizes[3]; ++at[3]) visit(at);
}

/// A tensor's elements by logical index.
struct Elements {
  std::vector<int64_t> sizes;
  std::vector<double> values;

  /// Axes of size 1 repeat.
  double& At(const std::array<int64_t, 4>& index) {
    int64_t at = 0;
    for (size_t axis = 0; axis < 4; ++axis) at = at * sizes[axis] + (sizes[axis] == 1 ? 0 : index[axis]);
    return values[static_cast<size_t>(at)];
  }
};

class Computation {
 public:
  explicit Computation(const RecordedDescriptor& pack) {
    const auto& ids = pack.numbers.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const auto& addresses = pack.numbers.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    for (size_t i = 0; i < ids.size(); ++i) addresses_[ids[i]] = reinterpret_cast<std::byte*>(addresses[i]);
  }

  void Run(const RecordedDescriptor& operation) {
    const auto part = [&](cudnnBackendAttributeName_t name) -> const RecordedDescriptor* {
      return operation.parts.contains(name) ? operation.parts.at(name).at(0).get() : nullptr;
    };
    if (const auto* function = part(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR))
      Pointwise(*function, part(CUDNN_ATTR_OPERATION_POINTWISE_XDESC), part(CUDNN_ATTR_OPERATION_POINTWISE_BDESC),
                part(CUDNN_ATTR_OPERATION_POINTWISE_TDESC), *part(CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    else if (const auto* reduction = part(CUDNN_ATTR_OPERATION_REDUCTION_DESC))
      Reduce(*reduction, *part(CUDNN_ATTR_OPERATION_REDUCTION_XDESC), *part(CUDNN_ATTR_OPERATION_REDUCTION_YDESC));
    else if (part(CUDNN_ATTR_OPERATION_MATMUL_DESC) != nullptr)
      Multiply(*part(CUDNN_ATTR_OPERATION_MATMUL_ADESC), *part(CUDNN_ATTR_OPERATION_MATMUL_BDESC),
               *part(CUDNN_ATTR_OPERATION_MATMUL_CDESC));
    else if (const auto* x = part(CUDNN_ATTR_OPERATION_RESHAPE_XDESC))
      Reshape(*x, *part(CUDNN_ATTR_OPERATION_RESHAPE_YDESC));
    else
      CHECK(false, "an operation that isn't known here");
  }

 private:
  static int64_t Id(const RecordedDescriptor& tensor) { return tensor.Number(CUDNN_ATTR_TENSOR_UNIQUE_ID); }
  static const std::vector<int64_t>& Sizes(const RecordedDescriptor& tensor) {
    return tensor.numbers.at(CUDNN_ATTR_TENSOR_DIMENSIONS);
  }
  static int64_t Offset(const RecordedDescriptor& tensor, const std::array<int64_t, 4>& index) {
    int64_t offset = 0;
    for (size_t axis = 0; axis < 4; ++axis) offset += index[axis] * tensor.numbers.at(CUDNN_ATTR_TENSOR_STRIDES)[axis];
    return offset;
  }
  static bool IsBf16(const RecordedDescriptor& tensor) {
    return tensor.Number(CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_BFLOAT16;
  }

  Elements& Read(const RecordedDescriptor& tensor) {
    const auto found = tensors_.find(Id(tensor));
    if (found != tensors_.end()) return found->second;
    CHECK(!tensor.Flag(CUDNN_ATTR_TENSOR_IS_VIRTUAL), "read before it is written");
    Elements& elements = Make(tensor);
    const std::byte* const data = addresses_.at(Id(tensor));
    ForEachIndex(elements.sizes, [&](const auto& index) {
      const int64_t at = Offset(tensor, index);
      elements.At(index) = IsBf16(tensor) ? static_cast<double>(reinterpret_cast<const BFloat16*>(data)[at].Float())
                                          : static_cast<double>(reinterpret_cast<const float*>(data)[at]);
    });
    return elements;
  }
  Elements& Make(const RecordedDescriptor& tensor) {
    Elements& elements = tensors_[Id(tensor)];
    elements.sizes = Sizes(tensor);
    elements.values.assign(
        static_cast<size_t>(elements.sizes[0] * elements.sizes[1] * elements.sizes[2] * elements.sizes[3]), 0);
    return elements;
  }
  /// Rounds what was computed, and stores it where it has an address.
  void Finish(const RecordedDescriptor& tensor, Elements& elements) {
    std::byte* const data = tensor.Flag(CUDNN_ATTR_TENSOR_IS_VIRTUAL) ? nullptr : addresses_.at(Id(tensor));
    ForEachIndex(elements.sizes, [&](const auto& index) {
      double& value = elements.At(index);
      const BFloat16 rounded = BFloat16::From(static_cast<float>(value));
      if (IsBf16(tensor)) value = rounded.Float();
      if (data == nullptr) return;
      const int64_t at = Offset(tensor, index);
      if (IsBf16(tensor))
        reinterpret_cast<BFloat16*>(data)[at] = rounded;
      else
        reinterpret_cast<float*>(data)[at] = static_cast<float>(value);
    });
  }

  void Pointwise(const RecordedDescriptor& function, const RecordedDescriptor* x, const RecordedDescriptor* b,
                 const RecordedDescriptor* t, const RecordedDescriptor& y) {
    const auto mode = static_cast<cudnnPointwiseMode_t>(function.Number(CUDNN_ATTR_POINTWISE_MODE));
    Elements& a = Read(*x);
    Elements* const second = b == nullptr ? nullptr : &Read(*b);
    Elements* const where = t == nullptr ? nullptr : &Read(*t);
    Elements& result = Make(y);
    ForEachIndex(result.sizes, [&](const auto& index) {
      const double u = a.At(index), v = second == nullptr ? 0 : second->At(index);
      double& out = result.At(index);
      switch (mode) {
        case CUDNN_POINTWISE_ADD:
          out = u + v;
          break;
        case CUDNN_POINTWISE_SUB:
          out = u - v;
          break;
        case CUDNN_POINTWISE_MUL:
          out = u * v;
          break;
        case CUDNN_POINTWISE_DIV:
          out = u / v;
          break;
        case CUDNN_POINTWISE_EXP:
          out = std::exp(u);
          break;
        case CUDNN_POINTWISE_LOG:
          out = std::log(u);
          break;
        case CUDNN_POINTWISE_CMP_GE:
          out = u >= v ? 1 : 0;
          break;
        case CUDNN_POINTWISE_BINARY_SELECT:
          out = where->At(index) != 0 ? u : v;
          break;
        case CUDNN_POINTWISE_GEN_INDEX:
          out = static_cast<double>(index[static_cast<size_t>(function.Number(CUDNN_ATTR_POINTWISE_AXIS))]);
          break;
        default:
          CHECK(false, "pointwise mode {}", static_cast<int>(mode));
      }
    });
    Finish(y, result);
  }
  void Reduce(const RecordedDescriptor& reduction, const RecordedDescriptor& x, const RecordedDescriptor& y) {
    const bool largest = reduction.Number(CUDNN_ATTR_REDUCTION_OPERATOR) == CUDNN_REDUCE_TENSOR_MAX;
    Elements &from = Read(x), &result = Make(y);
    if (largest) std::fill(result.values.begin(), result.values.end(), -INFINITY);
    ForEachIndex(from.sizes, [&](const auto& index) {
      double& out = result.At(index);
      out = largest ? std::max(out, from.At(index)) : out + from.At(index);
    });
    Finish(y, result);
  }
  void Multiply(const RecordedDescriptor& a, const RecordedDescriptor& b, const RecordedDescriptor& c) {
    Elements &first = Read(a), &second = Read(b), &result = Make(c);
    CHECK(first.sizes[3] == second.sizes[2] && result.sizes[2] == first.sizes[2] && result.sizes[3] == second.sizes[3]);
    ForEachIndex(result.sizes, [&](const auto& index) {
      double& sum = result.At(index);
      for (int64_t k = 0; k < first.sizes[3]; ++k)
        sum += first.At({index[0], index[1], index[2], k}) * second.At({index[0], index[1], k, index[3]});
    });
    Finish(c, result);
  }
  /// The graph's reshapes swap the last two axes.
  void Reshape(const RecordedDescriptor& x, const RecordedDescriptor& y) {
    const auto &from_strides = x.numbers.at(CUDNN_ATTR_TENSOR_STRIDES),
               &strides = y.numbers.at(CUDNN_ATTR_TENSOR_STRIDES);
    CHECK(strides[2] == from_strides[3] && strides[3] == from_strides[2]);
    Elements &from = Read(x), &result = Make(y);
    ForEachIndex(result.sizes, [&](const auto& index) {
      result.At(index) = from.At({index[0], index[1], index[3], index[2]});
    });
    Finish(y, result);
  }

  std::map<int64_t, std::byte*> addresses_;
  std::map<int64_t, Elements> tensors_;
};

}  // namespace

void ComputeGraph(const RecordedDescriptor& graph, const RecordedDescriptor& pack) {
  Computation computation(pack);
  for (const auto& operation : graph.parts.at(CUDNN_ATTR_OPERATIONGRAPH_OPS)) computation.Run(*operation);
}

}  // namespace lockstep::cuda
