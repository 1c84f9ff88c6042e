#include "trainer/kernels/cuda/dense/cudnn_convolution.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace lockstep::cuda {
namespace {

using Direction = ConvolutionSpec::Direction;

/// What is read and written in place has two ids: kResult is y too.
enum Id : int64_t { kX, kFilter, kY, kBias, kResult };

std::array<const void*, 5> Addresses(const ConvolutionOperands& operands) {
  return {operands.x, operands.filter, operands.y, operands.bias, operands.y};
}

/// A spec's tensors.
struct Layouts {
  explicit Layouts(const ConvolutionSpec& s)
      : x(CudnnLayout::Nhwc({s.n, s.c, s.h, s.w})),
        filter(CudnnLayout::Nhwc({s.o, s.c / s.groups, s.kh, s.kw})),
        y(CudnnLayout::Nhwc({s.n, s.o, s.out_h(), s.out_w()})),
        bias(CudnnLayout::Nhwc({1, s.o, 1, 1})) {}
  CudnnLayout x, filter, y, bias;
};

ConvolutionGeometry GeometryOf(const ConvolutionSpec& spec) {
  return {.strides = {spec.stride.height, spec.stride.width},
          .paddings = {spec.padding.height, spec.padding.width},
          .dilations = {spec.dilation.height, spec.dilation.width}};
}

bool HasRelu(const ConvolutionSpec& spec) { return spec.activation == graph::Activation::kRelu; }

/// Adds bias and relu to `graph`, from `x` to y. `x` is the convolution's result.
void AddFinish(CudnnGraph& graph, const ConvolutionSpec& spec, CudnnGraph::Tensor x, CudnnGraph::Tensor y) {
  const Layouts layouts(spec);
  if (spec.bias) {
    const auto sum = HasRelu(spec) ? graph.Between(layouts.y) : y;
    graph.Add(x, graph.Operand(kBias, layouts.bias, spec.type), sum);
    x = sum;
  }
  if (HasRelu(spec)) graph.Relu(x, y);
}

CudnnGraph ForwardGraph(const ConvolutionSpec& spec, bool finish) {
  const Layouts layouts(spec);
  CudnnGraph graph;
  const auto x = graph.Operand(kX, layouts.x, spec.type), filter = graph.Operand(kFilter, layouts.filter, spec.type),
             y = graph.Operand(kY, layouts.y, spec.type);
  const auto product = finish ? graph.Between(layouts.y) : y;
  graph.Forward(GeometryOf(spec), x, filter, product);
  if (finish) AddFinish(graph, spec, product, y);
  return graph;
}

/// y = relu(y + bias) in place.
CudnnGraph FinishGraph(const ConvolutionSpec& spec) {
  const Layouts layouts(spec);
  CudnnGraph graph;
  const auto y = graph.Operand(kY, layouts.y, spec.type);
  AddFinish(graph, spec, y, graph.Operand(kResult, layouts.y, spec.type));
  return graph;
}

CudnnGraph GradientGraph(const ConvolutionSpec& spec) {
  const Layouts layouts(spec);
  CudnnGraph graph;
  const auto x = graph.Operand(kX, layouts.x, spec.type), filter = graph.Operand(kFilter, layouts.filter, spec.type),
             y = graph.Operand(kY, layouts.y, spec.type);
  if (spec.direction == Direction::kInputGrad)
    graph.InputGrad(GeometryOf(spec), y, filter, x);
  else
    graph.WeightGrad(GeometryOf(spec), x, y, filter);
  return graph;
}

}  // namespace

std::vector<std::unique_ptr<CudnnPlan>> CudnnConvolutions::FindPlans(const ConvolutionSpec& spec) const {
  const EngineRules rules{.tensor_cores = spec.type == DType::kBF16 || math_ == FloatMath::kTF32,
                          .workspace_limit = kConvolutionWorkspaceLimit};
  std::vector<std::unique_ptr<CudnnPlan>> steps;
  const auto add = [&](const CudnnGraph& graph, const EngineRules& allowed) {
    auto plan = graph.Plan(device_, allowed);
    if (plan == nullptr) return false;
    steps.push_back(std::move(plan));
    return true;
  };
  if (spec.direction != Direction::kForward) {
    add(GradientGraph(spec), rules);
    return steps;
  }
  const bool finish = spec.bias || HasRelu(spec);
  if (add(ForwardGraph(spec, finish), rules) || !finish) return steps;
  // The one engine for pointwise graphs says that it uses matrix units, but here is nothing to multiply.
  EngineRules pointwise = rules;
  pointwise.tensor_cores = true;
  if (!add(ForwardGraph(spec, false), rules) || !add(FinishGraph(spec), pointwise)) steps.clear();
  return steps;
}

const CudnnConvolutions::Planned& CudnnConvolutions::PlannedFor(const ConvolutionSpec& spec) {
  const auto found = std::ranges::find(planned_, spec, [](const auto& planned) { return planned->spec; });
  if (found != planned_.end()) return **found;
  const auto fail = [&](const std::string& why) -> Error {
    const bool tf32 = spec.type == DType::kF32 && math_ == FloatMath::kTF32;
    return {ErrorKind::kInternal,
            fmt::format("cuDNN has no engine for {}{}{}", spec.ToString(), tf32 ? ", TF32" : "", why)};
  };
  auto planned = std::make_unique<Planned>();
  planned->spec = spec;
  try {
    planned->steps = FindPlans(spec);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInternal) throw;
    throw fail(fmt::format(": {}", error.what()));
  }
  if (planned->steps.empty()) throw fail("");
  for (const auto& step : planned->steps) {
    planned->workspace_bytes = std::max(planned->workspace_bytes, step->workspace_bytes());
  }
  return *planned_.emplace_back(std::move(planned));
}

std::string CudnnConvolutions::Describe(const ConvolutionSpec& spec) {
  std::string text;
  for (const auto& step : PlannedFor(spec).steps) {
    if (!text.empty()) text += "; ";
    text += step->description();
  }
  return text;
}

std::unique_ptr<engine::Kernel> CudnnConvolutions::Prepare(const ConvolutionSpec& spec,
                                                           const ConvolutionOperands& operands, DeviceStream& stream) {
  CHECK(device_.handle() != nullptr, "kernels for a device that is only described");
  const auto addresses = Addresses(operands);
  std::vector<CudnnBinding> steps;
  for (const auto& step : PlannedFor(spec).steps) steps.emplace_back(*step, addresses, operands.workspace);
  return MakeCudnnKernel(device_.handle(), stream, std::move(steps));
}

}  // namespace lockstep::cuda
