#include "trainer/graph/op_table.h"

#include <utility>

#include "base/error.h"
#include "trainer/graph/op_families.h"
#include "trainer/graph/rows_by_kind.h"
#include "trainer/graph/step_block.h"

namespace lockstep::graph {
namespace {

void CheckOperands(const Graph& graph, const Op& op) {
  std::vector<Operand> operands = ParseOperands(Row(op.kind).inputs);
  if (!operands.empty() && operands.back().repeated && op.inputs.size() > operands.size())
    operands.resize(op.inputs.size(), operands.back());
  CHECK(op.inputs.size() == operands.size(), "{} ({}) has {} inputs, not {}", op.name, Name(op.kind), op.inputs.size(),
        operands.size());
  for (size_t i = 0; i < operands.size(); ++i) {
    const ValueId id = op.inputs[i];
    CHECK(id < static_cast<ValueId>(graph.values.size()), "{}: input {} is no value of the graph", op.name, id);
    CHECK(id >= 0 || operands[i].optional, "{} ({}) lacks its input {}", op.name, Name(op.kind), operands[i].name);
  }
}

}  // namespace

const OpRow& Row(OpKind kind) {
  static const RowsByKind<OpRow> rows = CollectRows<OpRow>(
      "the op table", {LinearRows(), ConvolutionRows(), PoolingRows(), NormRows(), ElementwiseRows(), LayoutRows(),
                       SequenceRows(), RecurrentRows(), LossRows(), CtcRows(), DetectionRows(), ReduceRows(),
                       StridedRows(), MatMulRows(), TensorElementwiseRows(), FusedElementwiseRows(), ResizeRows()});
  const OpRow* row = rows.Find(kind);
  CHECK(row != nullptr, "op kind {} has no row", static_cast<int>(kind));
  return *row;
}

const char* Name(OpKind kind) { return Row(kind).name; }

std::vector<Operand> ParseOperands(std::string_view text) {
  std::vector<Operand> operands;
  while (!text.empty()) {
    const size_t comma = text.find(", ");
    Operand operand{std::string(text.substr(0, comma))};
    if (operand.name.ends_with("...")) {
      operand.name.resize(operand.name.size() - 3);
      operand.repeated = true;
    }
    if (operand.name.back() == '?') {
      operand.name.pop_back();
      operand.optional = true;
    }
    operands.push_back(std::move(operand));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 2);
  }
  return operands;
}

std::vector<ValueId> AppendOp(Graph& graph, OpKind kind, std::vector<ValueId> inputs, Attributes attributes,
                              const std::string& name) {
  // Operands at the end that may be absent may be left out.
  const std::vector<Operand> all = ParseOperands(Row(kind).inputs);
  for (size_t i = inputs.size(); i < all.size() && all[i].optional; ++i) inputs.push_back(kNoValue);
  Op op{.kind = kind, .inputs = std::move(inputs), .outputs = {}, .attributes = std::move(attributes), .name = name};
  CheckOperands(graph, op);
  const std::vector<OutputSpec> specs = Row(kind).infer(graph, op);
  const std::vector<Operand> operands = ParseOperands(Row(kind).outputs);
  CHECK(specs.size() == operands.size(), "{} infers {} outputs, not {}", Row(kind).name, specs.size(), operands.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    op.outputs.push_back(static_cast<ValueId>(graph.values.size()));
    graph.values.push_back({.name = i == 0 ? name : name + "/" + operands[i].name,
                            .shape = specs[i].shape,
                            .dtype = specs[i].dtype,
                            .role = Role::kActivation});
  }
  graph.ops.push_back(op);
  return op.outputs;
}

bool SharesMemory(OpKind kind) { return kind == OpKind::kReshape || kind == OpKind::kCacheAppend; }

ValueId EnsureStepBlock(Graph& graph) {
  for (size_t i = 0; i < graph.values.size(); ++i) {
    if (graph.values[i].role == Role::kStepBlock) return static_cast<ValueId>(i);
  }
  graph.values.push_back({.name = "step_block",
                          .shape = {static_cast<int64_t>(sizeof(StepBlock))},
                          .dtype = DType::kU8,
                          .role = Role::kStepBlock});
  return static_cast<ValueId>(graph.values.size() - 1);
}

bool GradientFollowsFromResult(Activation activation) {
  return activation == Activation::kRelu || activation == Activation::kTanh || activation == Activation::kSigmoid;
}

int64_t WindowOutput(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
  const int64_t room = size + 2 * padding - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

}  // namespace lockstep::graph
