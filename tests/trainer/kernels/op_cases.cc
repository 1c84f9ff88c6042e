#include "tests/trainer/kernels/op_cases.h"

#include <algorithm>
#include <cmath>

#include "base/bfloat16.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/philox.h"
#include "trainer/graph/op_table.h"

namespace lockstep::conformance {
namespace {

using reference::Tensor;

double Fresh(const Operand& operand, const RandomStream& stream, uint32_t i) {
  switch (operand.fill) {
    case Fill::kNormal:
      return operand.offset + operand.scale * NormalFromBits(stream.Bits(2 * i), stream.Bits(2 * i + 1));
    case Fill::kPositive:
      return operand.offset + operand.scale * (0.1 + 1.9 * stream.Uniform(i));
    case Fill::kMask:
      return stream.Uniform(i) < 0.7 ? 1 : 0;
    case Fill::kLabels:
      return i == 1 ? -1 : std::floor(stream.Uniform(i) * operand.limit);
    case Fill::kLengths:
      return i < 2 ? (1 - i) * static_cast<double>(operand.limit) : std::floor(stream.Uniform(i) * (operand.limit + 1));
    case Fill::kGiven:
      return operand.given.at(i);
    case Fill::kSteps:
      return operand.offset + operand.scale * (std::floor(stream.Uniform(i) * 5) / 2 - 1);
    case Fill::kBytes:
      return std::floor(stream.Uniform(i) * 256);
    case Fill::kAbsent:
    case Fill::kStepBlock:
    case Fill::kResult:
      break;
  }
  CHECK(false);
  return 0;
}

/// To what a backend holds.
double Rounded(double value, DType dtype) {
  const auto single = static_cast<float>(value);
  return static_cast<double>(dtype == DType::kBF16 ? BFloat16::From(single).Float() : single);
}

bool IsRandom(Fill fill) { return fill != Fill::kAbsent && fill != Fill::kStepBlock && fill != Fill::kResult; }

Tensor Random(const Operand& operand, DType dtype, const RandomStream& stream) {
  Tensor tensor{operand.shape, {}, {}, 1};
  for (uint32_t i = 0; i < static_cast<uint32_t>(operand.shape.size()); ++i) {
    tensor.data.push_back(Rounded(Fresh(operand, stream, i), dtype));
  }
  return tensor;
}

/// What `operand.source` makes of the case's other operands.
Tensor Result(const OpCase& op_case, const Operand& operand, DType dtype, const std::vector<Tensor>& tensors) {
  graph::Op op{operand.source, {}, {}, op_case.attributes, op_case.name};
  std::vector<const Tensor*> inputs;
  for (const int i : operand.source_operands) inputs.push_back(&tensors[static_cast<size_t>(i)]);
  Tensor result = reference::RunOp({}, op, inputs, {})[static_cast<size_t>(operand.source_output)];
  for (double& value : result.data) value = Rounded(value, dtype);
  return result;
}

/// Whether operand i is one that a network keeps in float whatever its activations are: statistics of norms and of
/// softmax, weights of rows, what recurrent layers save, and what a squared error compares with.
bool IsAlwaysFloat(graph::OpKind kind, size_t i) {
  using graph::OpKind;
  switch (kind) {
    case OpKind::kBatchNormInfer:
    case OpKind::kBatchNormGrad:
    case OpKind::kLayerNormGrad:
    case OpKind::kGroupNormGrad:
      return i == 3 || i == 4;
    case OpKind::kRmsNormGrad:
      return i == 3;
    case OpKind::kAddLayerNormGrad:
    case OpKind::kAddRmsNormGrad:
    case OpKind::kBatchNormAddGrad:
      return i == 4 || i == 5;
    case OpKind::kSoftmaxCrossEntropyTrain:
      return i >= 3;
    case OpKind::kAttentionGrad:
      return i == 5;
    case OpKind::kCtcGrad:
      return i == 0;
    case OpKind::kLstmGrad:
    case OpKind::kGruGrad:
      return i == 2;
    case OpKind::kSoftmaxCrossEntropy:
    case OpKind::kSoftmaxCrossEntropyGrad:
      return i >= 2;
    case OpKind::kMeanLossGrad:
      return i == 0;
    case OpKind::kMeanLoss:
      return i == 1;
    case OpKind::kMeanSquaredError:
    case OpKind::kMeanSquaredErrorGrad:
      return i == 1 || i == 2;
    default:
      return false;
  }
}

DType TypeOf(graph::OpKind kind, const OpCase& op_case, size_t i, DType activations) {
  const Operand& operand = op_case.operands[i];
  if (operand.fill == Fill::kLabels || operand.fill == Fill::kLengths || operand.fill == Fill::kGiven)
    return DType::kI32;
  if (operand.fill == Fill::kBytes) return DType::kU8;
  if (operand.fill == Fill::kResult && operand.source == graph::OpKind::kMaxPool2d && operand.source_output == 1) {
    return DType::kU8;
  }
  return operand.role == graph::Role::kActivation && !IsAlwaysFloat(kind, i) ? activations : DType::kF32;
}

/// Some attributes say what type a result has.
graph::Attributes AttributesOf(const OpCase& op_case, DType activations) {
  graph::Attributes attributes = op_case.attributes;
  if (auto* embedding = std::get_if<graph::EmbeddingAttributes>(&attributes)) embedding->result = activations;
  if (auto* mean = std::get_if<graph::MeanLossAttributes>(&attributes)) mean->dtype = activations;
  if (auto* ctc = std::get_if<graph::CtcAttributes>(&attributes)) ctc->result = activations;
  if (auto* fused = std::get_if<graph::FusedAttributes>(&attributes)) fused->result = activations;
  if (auto* pixels = std::get_if<graph::PixelsAttributes>(&attributes)) pixels->result = activations;
  return attributes;
}

}  // namespace

Instance MakeInstance(graph::OpKind kind, const OpCase& op_case, DType activations) {
  std::vector<Tensor> tensors(op_case.operands.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!IsRandom(op_case.operands[i].fill)) continue;
    const RandomStream stream{Hash64(graph::Name(kind) + op_case.name), 0, static_cast<uint32_t>(i), 0};
    tensors[i] = Random(op_case.operands[i], TypeOf(kind, op_case, i, activations), stream);
  }
  Instance instance;
  instance.step_block = {.seed = 0x123456789ABCDEFu,
                         .step = 70000,
                         .first_sample = (1ull << 40) - 2,
                         .loss_scale = {0.01f, 3.0f, 1 / 7.0f, 1.0f}};
  std::vector<graph::ValueId> ids;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Operand& operand = op_case.operands[i];
    const DType dtype = TypeOf(kind, op_case, i, activations);
    if (operand.fill == Fill::kResult) tensors[i] = Result(op_case, operand, dtype, tensors);
    if (operand.hidden) continue;
    graph::ValueId id = graph::kNoValue;
    if (operand.fill == Fill::kStepBlock) {
      id = EnsureStepBlock(instance.graph);
    } else if (operand.fill != Fill::kAbsent) {
      id = static_cast<graph::ValueId>(instance.graph.values.size());
      instance.graph.values.push_back({fmt::format("operand{}", i), tensors[i].shape, dtype, operand.role});
    }
    ids.push_back(id);
    instance.inputs.push_back(tensors[i]);
  }
  AppendOp(instance.graph, kind, ids, AttributesOf(op_case, activations), op_case.name);
  for (const int i : op_case.unwanted) instance.graph.ops[0].outputs[static_cast<size_t>(i)] = graph::kNoValue;
  return instance;
}

std::vector<Tensor> Expected(const Instance& instance) {
  std::vector<const Tensor*> inputs;
  for (const Tensor& tensor : instance.inputs) inputs.push_back(&tensor);
  return reference::RunOp(instance.graph, instance.op(), inputs, instance.step_block);
}

}  // namespace lockstep::conformance
