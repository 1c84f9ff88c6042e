// Ops that work element by element: where that is float, all of them may write over their first input.
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

std::vector<OutputSpec> InferActivation(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  AttributesOf<ActivationAttributes>(op);
  RequireFloat(op, x, "x");
  return {{x.shape, x.dtype}};
}

std::vector<OutputSpec> InferActivationGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  AttributesOf<ActivationAttributes>(op);
  RequireFloat(op, dy, "dy");
  RequireShape(op, InputOf(graph, op, 1), "v", dy.shape);
  return {{dy.shape, dy.dtype}};
}

void ActivationGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  const auto& attributes = AttributesOf<ActivationAttributes>(op);
  const ValueId v = GradientFollowsFromResult(attributes.activation) ? op.outputs[0] : op.inputs[0];
  context.Accumulate(0, context.Emit(OpKind::kActivationGrad, {context.OutputGradient(0), v}, attributes, "/grad")[0]);
}

std::vector<OutputSpec> InferDropout(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const float probability = AttributesOf<DropoutAttributes>(op).probability;
  RequireFloat(op, x, "x");
  CHECK(InputOf(graph, op, 1).role == Role::kStepBlock, "{} needs the step block", op.name);
  if (x.shape.rank() < 1) Reject(op, fmt::format("x has shape {}, but rows are needed", x.shape.ToString()));
  if (!(probability >= 0 && probability < 1)) {
    Reject(op, fmt::format("probability {} is out of range", probability), "it must be at least 0 and less than 1");
  }
  return {{x.shape, x.dtype}};
}

void DropoutGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  context.Accumulate(0, context.Emit(OpKind::kDropoutGrad, {context.OutputGradient(0), context.StepBlockValue()},
                                     op.attributes, "/grad")[0]);
}

std::vector<OutputSpec> InferAdd(const Graph& graph, const Op& op) {
  const Value& a = InputOf(graph, op, 0);
  const Value& b = InputOf(graph, op, 1);
  const Activation activation = AttributesOf<ActivationAttributes>(op).activation;
  CHECK(activation == Activation::kNone || activation == Activation::kRelu, "{} can't have {} fused", op.name,
        Name(activation));
  RequireFloat(op, a, "a");
  RequireFloat(op, b, "b");
  if (a.shape != b.shape) {
    Reject(op, fmt::format("{} and {} have different shapes", a.shape.ToString(), b.shape.ToString()));
  }
  return {{a.shape, a.dtype}};
}

void AddGradient(GradientContext& context) {
  const ValueId dy = GradientBeforeActivation(context, AttributesOf<ActivationAttributes>(context.op()).activation);
  for (int input : {0, 1}) {
    if (context.Wanted(input)) context.Accumulate(input, dy);
  }
}

std::vector<OutputSpec> InferPixels(const Graph& graph, const Op& op) {
  const Value &x = InputOf(graph, op, 0), &inside = InputOf(graph, op, 1);
  const auto& attributes = AttributesOf<PixelsAttributes>(op);
  RequireDType(op, x, "x", DType::kU8);
  RequireRank(op, x, "x", 4);
  RequireDType(op, inside, "inside", DType::kI32);
  RequireShape(op, inside, "inside", {x.shape.dim(0), 4});
  const int64_t channels = x.shape.dim(3);
  CHECK(channels <= PixelsAttributes::kMaxChannels, "{}: {} channels", op.name, channels);
  for (int64_t c = 0; c < channels; ++c)
    CHECK(attributes.deviation[static_cast<size_t>(c)] > 0, "{}: a deviation of {}", op.name,
          attributes.deviation[static_cast<size_t>(c)]);
  return {{x.shape, attributes.result}};
}

constexpr OpRow kRows[] = {
    {OpKind::kActivation, "activation", "x", "y", "y = act(x)", InferActivation, ActivationGradient, 0,
     FlopsPerElement},
    {OpKind::kDropout, "dropout", "x, step_block", "y", "y = x / (1 - probability) where kept, else 0", InferDropout,
     DropoutGradient, 0, FlopsPerElement},
    {OpKind::kPixels, "pixels", "x, inside", "y", "y = (x scale - mean) / deviation inside, else 0", InferPixels,
     nullptr, -1, FlopsPerElement},
    {OpKind::kAdd, "add", "a, b", "y", "y = act(a + b)", InferAdd, AddGradient, 0, FlopsPerElement},
    {OpKind::kActivationGrad, "activation_grad", "dy, v", "dx", "dx = dy act'(v)", InferActivationGrad, nullptr, 0,
     FlopsPerElement},
    {OpKind::kDropoutGrad, "dropout_grad", "dy, step_block", "dx", "dx = dy / (1 - probability) where kept, else 0",
     InferDropout, nullptr, 0, FlopsPerElement},
};

}  // namespace

std::span<const OpRow> ElementwiseRows() { return kRows; }

}  // namespace lockstep::graph
