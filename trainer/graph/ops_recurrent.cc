// Recurrent layers: LSTM and GRU, whose products with x stand before them.
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

/// What an LSTM and a GRU differ in.
struct Kind {
  int gates, saved;  ///< parts of `hidden` channels
  bool cell;
};
constexpr Kind kLstm{4, 5, true}, kGru{3, 4, false};

/// Checks length?, hidden? and cell?, which are the op's inputs from `first` on.
void RequireStates(const Graph& graph, const Op& op, const Kind& kind, int first, int64_t rows, int64_t hidden) {
  if (HasInput(op, first)) {
    RequireDType(op, InputOf(graph, op, first), "length", DType::kI32);
    RequireShape(op, InputOf(graph, op, first), "length", {rows});
  }
  constexpr const char* kNames[] = {"hidden", "cell"};
  for (int i = 0; i < (kind.cell ? 2 : 1); ++i) {
    if (!HasInput(op, first + 1 + i)) continue;
    RequireFloat(op, InputOf(graph, op, first + 1 + i), kNames[i]);
    RequireShape(op, InputOf(graph, op, first + 1 + i), kNames[i], {rows, hidden});
  }
}

int64_t RequireWeight(const Graph& graph, const Op& op, const Kind& kind, int input) {
  const Value& weight = InputOf(graph, op, input);
  RequireDType(op, weight, "weight", DType::kF32);
  RequireRank(op, weight, "weight", 2);
  RequireShape(op, weight, "weight", {kind.gates * weight.shape.dim(1), weight.shape.dim(1)});
  return weight.shape.dim(1);
}

std::vector<OutputSpec> Infer(const Graph& graph, const Op& op, const Kind& kind) {
  AttributesOf<RecurrentAttributes>(op);
  const Value& gates = InputOf(graph, op, 0);
  RequireFloat(op, gates, "gates");
  RequireRank(op, gates, "gates", 3);
  const int64_t hidden = RequireWeight(graph, op, kind, 1), rows = gates.shape.dim(0), time_steps = gates.shape.dim(1);
  RequireShape(op, gates, "gates", {rows, time_steps, kind.gates * hidden});
  if (HasInput(op, 2)) RequireShape(op, InputOf(graph, op, 2), "bias", {kind.gates * hidden});
  RequireStates(graph, op, kind, 3, rows, hidden);
  std::vector<OutputSpec> results = {{{rows, time_steps, hidden}, gates.dtype},
                                     {{rows, time_steps, kind.saved * hidden}, DType::kF32},
                                     {{rows, hidden}, DType::kF32}};
  if (kind.cell) results.push_back({{rows, hidden}, DType::kF32});
  return results;
}
std::vector<OutputSpec> InferLstm(const Graph& graph, const Op& op) { return Infer(graph, op, kLstm); }
std::vector<OutputSpec> InferGru(const Graph& graph, const Op& op) { return Infer(graph, op, kGru); }

std::vector<OutputSpec> InferGrad(const Graph& graph, const Op& op, const Kind& kind) {
  AttributesOf<RecurrentAttributes>(op);
  const Value& dy = InputOf(graph, op, 0);
  RequireFloat(op, dy, "dy");
  RequireRank(op, dy, "dy", 3);
  RequireShape(op, InputOf(graph, op, 1), "y", dy.shape);
  const int64_t hidden = RequireWeight(graph, op, kind, 3), rows = dy.shape.dim(0), time_steps = dy.shape.dim(1);
  RequireShape(op, dy, "dy", {rows, time_steps, hidden});
  RequireDType(op, InputOf(graph, op, 2), "saved", DType::kF32);
  RequireShape(op, InputOf(graph, op, 2), "saved", {rows, time_steps, kind.saved * hidden});
  RequireStates(graph, op, kind, 4, rows, hidden);
  return {{{rows, time_steps, kind.gates * hidden}, dy.dtype},
          {{kind.gates * hidden, hidden}, DType::kF32},
          {{kind.gates * hidden}, DType::kF32}};
}
std::vector<OutputSpec> InferLstmGrad(const Graph& graph, const Op& op) { return InferGrad(graph, op, kLstm); }
std::vector<OutputSpec> InferGruGrad(const Graph& graph, const Op& op) { return InferGrad(graph, op, kGru); }

/// Gradients go from y to the gates and no further: neither to the states before the first time step, nor from those
/// behind the last.
void RequireNoStates(const GradientContext& context, const Op& op, const Kind& kind) {
  const std::string hint = "train through y, and carry states only where nothing is trained through them";
  const auto outputs = static_cast<int>(op.outputs.size());
  for (int output = 2; output < outputs; ++output) {
    if (context.OutputGradient(output) != kNoValue) Reject(op, "its last states have no gradient", hint);
  }
  for (int input = 4; input < (kind.cell ? 6 : 5); ++input) {
    if (context.Wanted(input)) Reject(op, "its first states have no gradient", hint);
  }
}

void Gradient(GradientContext& context, const Kind& kind, OpKind gradient_kind) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  RequireNoStates(context, op, kind);
  CHECK(op.outputs[1] != kNoValue, "{} has nothing saved", op.name);
  std::vector<ValueId> inputs = {
      context.OutputGradient(0), op.outputs[0], op.outputs[1], op.inputs[1], op.inputs[3], op.inputs[4]};
  if (kind.cell) inputs.push_back(op.inputs[5]);
  const std::vector<ValueId> gradients = context.Emit(gradient_kind, std::move(inputs), op.attributes, "/grad");
  if (HasInput(op, 2) && context.Wanted(2)) context.Accumulate(2, gradients[2]);
  if (context.Wanted(1)) context.Accumulate(1, gradients[1]);
  if (context.Wanted(0)) context.Accumulate(0, gradients[0]);
}
void LstmGradient(GradientContext& context) { Gradient(context, kLstm, OpKind::kLstmGrad); }
void GruGradient(GradientContext& context) { Gradient(context, kGru, OpKind::kGruGrad); }

/// The product with the weight at each time step; behind it the same again for the state's gradient and for the
/// weight's.
double Flops(const Graph& graph, const Op& op) {
  const Value& gates = InputOf(graph, op, 0);
  return 2 * static_cast<double>(gates.shape.size()) * static_cast<double>(InputOf(graph, op, 1).shape.dim(1));
}
double GradFlops(const Graph& graph, const Op& op) {
  const Shape& dy = InputOf(graph, op, 0).shape;
  const double product =
      2 * static_cast<double>(dy.dim(0) * dy.dim(1)) * static_cast<double>(InputOf(graph, op, 3).shape.size());
  return op.outputs[1] == kNoValue ? product : 2 * product;
}

constexpr OpRow kRows[] = {
    {OpKind::kLstm, "lstm", "gates, weight, bias?, length?, hidden?, cell?", "y, saved?, last_hidden?, last_cell?",
     "y = LSTM over time steps of gates + weight h + bias", InferLstm, LstmGradient, -1, Flops},
    {OpKind::kGru, "gru", "gates, weight, bias?, length?, hidden?", "y, saved?, last_hidden?",
     "y = GRU over time steps of gates, weight h + bias", InferGru, GruGradient, -1, Flops},
    {OpKind::kLstmGrad, "lstm_grad", "dy, y, saved, weight, length?, hidden?, cell?", "dgates, dweight?, dbias?",
     "the gradients of lstm", InferLstmGrad, nullptr, -1, GradFlops},
    {OpKind::kGruGrad, "gru_grad", "dy, y, saved, weight, length?, hidden?", "dgates, dweight?, dbias?",
     "the gradients of gru", InferGruGrad, nullptr, -1, GradFlops},
};

}  // namespace

std::span<const OpRow> RecurrentRows() { return kRows; }

}  // namespace lockstep::graph
