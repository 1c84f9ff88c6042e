// Connectionist temporal classification: a loss over all alignments of a label with time steps.
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

std::vector<OutputSpec> InferCtc(const Graph& graph, const Op& op) {
  const Value& logits = InputOf(graph, op, 0);
  const Value& label = InputOf(graph, op, 1);
  RequireLossIndex(op, AttributesOf<CtcAttributes>(op).loss);
  RequireFloat(op, logits, "logits");
  RequireRank(op, logits, "logits", 3);
  if (logits.shape.dim(2) < 2) {
    Reject(op, fmt::format("logits have shape {}, but a blank and another class are needed", logits.shape.ToString()));
  }
  RequireDType(op, label, "label", DType::kI32);
  RequireRank(op, label, "label", 2);
  const int64_t rows = logits.shape.dim(0);
  RequireShape(op, label, "label", {rows, label.shape.dim(1)});
  constexpr const char* kNames[] = {"length", "label_length"};
  for (int i = 0; i < 2; ++i) {
    RequireDType(op, InputOf(graph, op, 2 + i), kNames[i], DType::kI32);
    RequireShape(op, InputOf(graph, op, 2 + i), kNames[i], {rows});
  }
  return {{Shape{}, DType::kF64}, {logits.shape, DType::kF32}, {Shape{}, DType::kI64}};
}

std::vector<OutputSpec> InferCtcGrad(const Graph& graph, const Op& op) {
  const Value& dlogits = InputOf(graph, op, 0);
  RequireLossIndex(op, AttributesOf<CtcAttributes>(op).loss);
  RequireDType(op, dlogits, "dlogits", DType::kF32);
  RequireStepBlock(graph, op, 1);
  return {{dlogits.shape, AttributesOf<CtcAttributes>(op).result}};
}

void CtcGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  CHECK(op.outputs[1] != kNoValue, "{} has no dlogits", op.name);
  CtcAttributes attributes = AttributesOf<CtcAttributes>(op);
  attributes.result = InputOf(context.graph(), op, 0).dtype;
  context.Accumulate(0,
                     context.Emit(OpKind::kCtcGrad, {op.outputs[1], context.StepBlockValue()}, attributes, "/grad")[0]);
}

/// Alphas and betas: three exponentials and a logarithm for each of 2 u + 1 states at each time step, and a softmax.
double CtcFlops(const Graph& graph, const Op& op) {
  const Shape& logits = InputOf(graph, op, 0).shape;
  const auto states = static_cast<double>(2 * InputOf(graph, op, 1).shape.dim(1) + 1);
  return static_cast<double>(logits.dim(0) * logits.dim(1)) * (8 * states + 2 * static_cast<double>(logits.dim(2)));
}

constexpr OpRow kRows[] = {
    {OpKind::kCtc, "ctc", "logits, label, length, label_length", "sum, dlogits?, impossible?",
     "sum = the sum over samples of -log p(label)", InferCtc, CtcGradient, -1, CtcFlops},
    {OpKind::kCtcGrad, "ctc_grad", "dlogits, step_block", "dlogits", "dlogits = (softmax - posterior) loss_scale",
     InferCtcGrad, nullptr, 0, FlopsPerElement},
};

}  // namespace

std::span<const OpRow> CtcRows() { return kRows; }

}  // namespace lockstep::graph
