#include "trainer/kernels/cuda/dense/cudnn_graph.h"

#include <algorithm>
#include <utility>

#include "base/cuda/cuda_device.h"
#include "base/error.h"

namespace lockstep::cuda {
namespace {

/// Engines that round more than the types say, or whose bits differ from run to run.
constexpr std::array kRefused = {
    CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS,
    CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION,
    CUDNN_NUMERICAL_NOTE_FFT,
    CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC,
    CUDNN_NUMERICAL_NOTE_WINOGRAD,
    CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4,
    CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6,
    CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13,
};

cudnnDataType_t DataType(DType type) {
  CHECK(type == DType::kF32 || type == DType::kBF16, "no graphs of {}", Name(type));
  return type == DType::kBF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

CudnnDescriptor ConvolutionDescriptor(const ConvolutionGeometry& geometry) {
  constexpr cudnnConvolutionMode_t kMode = CUDNN_CROSS_CORRELATION;
  CudnnDescriptor d(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  d.Set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2})
      .Set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .Set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &kMode)
      .Set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, geometry.paddings)
      .Set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, geometry.paddings)
      .Set(CUDNN_ATTR_CONVOLUTION_DILATIONS, geometry.dilations)
      .Set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, geometry.strides)
      .Finalize();
  return d;
}

std::vector<CudnnDescriptor> Offers(const CudnnDevice& device, const CudnnDescriptor& graph,
                                    cudnnBackendHeurMode_t mode) {
  CudnnDescriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.Set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .Set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (device.properties()) heuristic.Set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device.properties());
  if (!heuristic.TryFinalize()) return {};
  return heuristic.GetAll(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
}

/// "engine 47 (tensor cores, split_k_slc=4)". Split sums are no harm where the engine is deterministic: how often they
/// are split follows from shapes and the number of multiprocessors, and the parts are added in a fixed order.
std::string Describe(const CudnnDescriptor& config, const CudnnDescriptor& engine, bool tensor_cores) {
  constexpr std::array kSplits = {
      std::pair(CUDNN_KNOB_TYPE_SPLIT_K, "split_k"),         std::pair(CUDNN_KNOB_TYPE_SPLIT_K_BUF, "split_k_buf"),
      std::pair(CUDNN_KNOB_TYPE_SPLIT_K_SLC, "split_k_slc"), std::pair(CUDNN_KNOB_TYPE_SPLIT_P_SLC, "split_p_slc"),
      std::pair(CUDNN_KNOB_TYPE_STREAM_K, "stream_k"),
  };
  std::vector<std::string> traits;
  if (tensor_cores) traits.emplace_back("tensor cores");
  for (const CudnnDescriptor& choice :
       config.GetAll(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS)) {
    const auto type = choice.GetAll<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1);
    for (const auto& [knob, name] : kSplits) {
      if (knob == type.at(0))
        traits.push_back(fmt::format("{}={}", name, choice.GetInt(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE)));
    }
  }
  const int64_t number = engine.GetInt(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  return traits.empty() ? fmt::format("engine {}", number)
                        : fmt::format("engine {} ({})", number, fmt::join(traits, ", "));
}

/// The plan of one offered configuration, nullptr where the rules forbid it or it can't run the graph.
std::unique_ptr<CudnnPlan> TryPlan(const CudnnDevice& device, CudnnDescriptor config, const EngineRules& rules,
                                   const std::vector<int64_t>& operands) {
  CudnnDescriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  config.Get(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  const auto notes = engine.GetAll<cudnnBackendNumericalNote_t>(
      CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  const auto has = [&](cudnnBackendNumericalNote_t note) { return std::ranges::find(notes, note) != notes.end(); };
  if (std::ranges::any_of(kRefused, has)) return nullptr;
  const bool tensor_cores = has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
  if (tensor_cores && !rules.tensor_cores) return nullptr;

  CudnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.Set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
  if (device.properties())
    plan.Set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *device.properties());
  else
    plan.Set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, device.handle());
  if (!plan.TryFinalize()) return nullptr;
  std::string description = Describe(config, engine, tensor_cores);
  auto made = std::make_unique<CudnnPlan>(std::move(config), std::move(plan), operands, std::move(description));
  if (made->workspace_bytes() > rules.workspace_limit) return nullptr;
  return made;
}

}  // namespace

CudnnDevice::CudnnDevice() {
  cudnnHandle_t made = nullptr;
  CUDNN_CHECK(cudnnCreate(&made));
  handle_.reset(made);
}
CudnnDevice::CudnnDevice(const std::string& properties) : properties_(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) {
  properties_->Set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, static_cast<int64_t>(properties.size()),
                   properties.data());
  properties_->Finalize();
}

CudnnPlan::CudnnPlan(CudnnDescriptor config, CudnnDescriptor plan, std::vector<int64_t> operands,
                     std::string description)
    : config_(std::move(config)),
      plan_(std::move(plan)),
      operands_(std::move(operands)),
      workspace_bytes_(static_cast<size_t>(plan_.GetInt(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE))),
      description_(std::move(description)) {}

CudnnBinding::CudnnBinding(const CudnnPlan& plan, std::span<const void* const> addresses, std::byte* workspace)
    : plan_(plan), pack_(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
  std::vector<const void*> pointers;
  for (const int64_t id : plan.operands()) pointers.push_back(addresses[static_cast<size_t>(id)]);
  pack_.Set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, plan.operands())
      .Set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, static_cast<int64_t>(pointers.size()),
           pointers.data())
      .Set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace)
      .Finalize();
}

namespace {

class CudnnKernel final : public engine::Kernel {
 public:
  CudnnKernel(cudnnHandle_t handle, cudaStream_t stream, std::vector<CudnnBinding> steps)
      : handle_(handle), stream_(stream), steps_(std::move(steps)) {}

  void Run() override {
    CUDNN_CHECK(cudnnSetStream(handle_, stream_));
    for (const CudnnBinding& step : steps_) step.Run(handle_);
  }

 private:
  cudnnHandle_t handle_;
  cudaStream_t stream_;
  std::vector<CudnnBinding> steps_;
};

}  // namespace

std::unique_ptr<engine::Kernel> MakeCudnnKernel(cudnnHandle_t handle, DeviceStream& stream,
                                                std::vector<CudnnBinding> steps) {
  return std::make_unique<CudnnKernel>(handle, NativeStream(stream), std::move(steps));
}

CudnnLayout CudnnLayout::Nhwc(const std::array<int64_t, 4>& nchw) {
  const auto [n, c, h, w] = nchw;
  return {nchw, {h * w * c, 1, w * c, c}};
}
CudnnLayout CudnnLayout::Dense(const std::array<int64_t, 4>& sizes) {
  const auto [a, b, c, d] = sizes;
  return {sizes, {b * c * d, c * d, d, 1}};
}

CudnnGraph::Tensor CudnnGraph::AddTensor(int64_t id, const CudnnLayout& layout, cudnnDataType_t type, Place place) {
  CudnnDescriptor& d = tensors_.emplace_back(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.Set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .Set(CUDNN_ATTR_TENSOR_DIMENSIONS, layout.sizes)
      .Set(CUDNN_ATTR_TENSOR_STRIDES, layout.strides)
      .Set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .Set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{16})  // less than what values have; no kernel wants more
      .Set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, place == Place::kNowhere);
  if (place == Place::kHost) d.Set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, true);
  d.Finalize();
  return {tensors_.size() - 1};
}
CudnnGraph::Tensor CudnnGraph::Operand(int64_t id, const CudnnLayout& layout, DType type) {
  operands_.push_back(id);
  return AddTensor(id, layout, DataType(type), Place::kDevice);
}
CudnnGraph::Tensor CudnnGraph::Between(const CudnnLayout& layout, cudnnDataType_t type) {
  return AddTensor(next_virtual_id_--, layout, type, Place::kNowhere);
}
CudnnGraph::Tensor CudnnGraph::Number(int64_t id) {
  operands_.push_back(id);
  return AddTensor(id, CudnnLayout::Dense({1, 1, 1, 1}), CUDNN_DATA_FLOAT, Place::kHost);
}

void CudnnGraph::Forward(const ConvolutionGeometry& geometry, Tensor x, Tensor filter, Tensor y) {
  operations_.emplace_back(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, ConvolutionDescriptor(geometry))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, At(x))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, At(filter))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, At(y))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 1.0f)
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0.0f)
      .Finalize();
}
void CudnnGraph::InputGrad(const ConvolutionGeometry& geometry, Tensor dy, Tensor filter, Tensor dx) {
  operations_.emplace_back(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, ConvolutionDescriptor(geometry))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, At(dy))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, At(filter))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, At(dx))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1.0f)
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 0.0f)
      .Finalize();
}
void CudnnGraph::WeightGrad(const ConvolutionGeometry& geometry, Tensor x, Tensor dy, Tensor dfilter) {
  operations_.emplace_back(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR)
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, ConvolutionDescriptor(geometry))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, At(x))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, At(dy))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, At(dfilter))
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 1.0f)
      .Set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 0.0f)
      .Finalize();
}

void CudnnGraph::AddPointwise(const PointwiseFunction& function, Tensor x, std::optional<Tensor> b,
                              std::optional<Tensor> where, Tensor y) {
  CudnnDescriptor described(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  described.Set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &function.mode)
      .Set(CUDNN_ATTR_POINTWISE_MATH_PREC, function.compute);
  if (function.axis) described.Set(CUDNN_ATTR_POINTWISE_AXIS, *function.axis);
  described.Finalize();
  CudnnDescriptor& operation = operations_.emplace_back(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.Set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, described)
      .Set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, At(x))
      .Set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, At(y));
  if (b) operation.Set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, At(*b));
  if (where) operation.Set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, At(*where));
  operation.Finalize();
}
void CudnnGraph::Pointwise(cudnnPointwiseMode_t mode, Tensor x, std::optional<Tensor> b, Tensor y) {
  AddPointwise({mode}, x, b, {}, y);
}
void CudnnGraph::Add(Tensor a, Tensor b, Tensor y) { Pointwise(CUDNN_POINTWISE_ADD, a, b, y); }
void CudnnGraph::Relu(Tensor x, Tensor y) { Pointwise(CUDNN_POINTWISE_RELU_FWD, x, {}, y); }
void CudnnGraph::Select(Tensor where, Tensor a, Tensor b, Tensor y) {
  AddPointwise({CUDNN_POINTWISE_BINARY_SELECT}, a, b, where, y);
}
void CudnnGraph::AtLeast(Tensor a, Tensor b, Tensor y) {
  AddPointwise({CUDNN_POINTWISE_CMP_GE, CUDNN_DATA_BOOLEAN}, a, b, {}, y);
}
void CudnnGraph::Index(Tensor x, int64_t axis, Tensor y) {
  AddPointwise({CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_INT32, axis}, x, {}, {}, y);
}

void CudnnGraph::Reduce(cudnnReduceTensorOp_t operation, Tensor x, Tensor y) {
  CudnnDescriptor reduction(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  reduction.Set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .Set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &operation)
      .Finalize();
  operations_.emplace_back(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR)
      .Set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, reduction)
      .Set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, At(x))
      .Set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, At(y))
      .Finalize();
}
void CudnnGraph::Multiply(Tensor a, Tensor b, Tensor y) {
  CudnnDescriptor product(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  product.Set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT).Finalize();
  operations_.emplace_back(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR)
      .Set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, At(a))
      .Set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, At(b))
      .Set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, At(y))
      .Set(CUDNN_ATTR_OPERATION_MATMUL_DESC, product)
      .Finalize();
}
void CudnnGraph::Reshape(Tensor x, Tensor y) {
  operations_.emplace_back(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR)
      .Set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, At(x))
      .Set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, At(y))
      .Finalize();
}

std::unique_ptr<CudnnPlan> CudnnGraph::Plan(const CudnnDevice& device, const EngineRules& rules) const {
  CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.Set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span(operations_));
  if (device.handle() != nullptr) graph.Set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, device.handle());
  if (!graph.TryFinalize()) return nullptr;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (CudnnDescriptor& config : Offers(device, graph, mode)) {
      if (auto plan = TryPlan(device, std::move(config), rules, operands_)) return plan;
    }
  }
  return nullptr;
}

}  // namespace lockstep::cuda
