// Reductions, softmax and products of matrices.
#include <numeric>

#include "trainer/onnx/export/emitters.h"

namespace lockstep::onnx {
namespace {

using graph::OpKind;
using graph::ReduceFunction;

const char* ReduceType(ReduceFunction function) {
  switch (function) {
    case ReduceFunction::kSum:
      return "ReduceSum";
    case ReduceFunction::kMean:
      return "ReduceMean";
    case ReduceFunction::kMax:
      return "ReduceMax";
    case ReduceFunction::kMin:
      return "ReduceMin";
    case ReduceFunction::kProduct:
      return "ReduceProd";
  }
  return "";
}

/// Whether what is left of an image has the same order of dimensions, whichever the image has.
bool SameOrderLeft(const graph::ReduceAttributes& attributes) {
  constexpr uint32_t kPixels = 0b0110, kChannels = 0b1000;
  return attributes.keep || (attributes.axes & kChannels) != 0 || (attributes.axes & kPixels) == kPixels;
}

void EmitReduce(Emission& e) {
  const auto& attributes = e.op().as<graph::ReduceAttributes>();
  const int rank = e.InputShape(0).rank();
  const Order order = rank != 4 || SameOrderLeft(attributes) ? e.CommonOrder() : Order::kOurs;
  std::vector<int64_t> axes;
  for (int i = 0; i < rank; ++i)
    if ((attributes.axes >> i & 1) != 0) axes.push_back(AxisIn(order, i, rank));
  std::vector<AttributeProto> more{Attribute("keepdims", attributes.keep ? 1 : 0)};
  std::vector<std::string> inputs{e.Input(0, order)};
  if (attributes.function == ReduceFunction::kSum)
    inputs.push_back(e.writer().Integers(axes));
  else
    more.push_back(Attribute("axes", axes));
  const std::string y = e.Node(ReduceType(attributes.function), std::move(inputs), std::move(more));
  e.Result(y, e.ResultShape().rank() == 4 ? order : Order::kOurs);
}

void EmitSoftmax(Emission& e) {
  const Order order = e.CommonOrder();
  e.Result(e.Node(e.op().as<graph::SoftmaxAttributes>().log ? "LogSoftmax" : "Softmax", {e.Input(0, order)},
                  {Attribute("axis", AxisIn(order, -1, e.InputShape(0).rank()))}),
           order);
}

std::string Matrix(Emission& e, size_t input, bool transposed) {
  const std::string tensor = e.Input(input);
  if (!transposed) return tensor;
  std::vector<int> order(static_cast<size_t>(e.InputShape(input).rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[order.size() - 2], order.back());
  return e.Transpose(tensor, order);
}

void EmitMatMul(Emission& e) {
  const auto& attributes = e.op().as<graph::MatMulAttributes>();
  const std::string product =
      e.Node("MatMul", {Matrix(e, 0, attributes.transpose_a), Matrix(e, 1, attributes.transpose_b)});
  e.Result(attributes.scale == 1 ? product : e.Node("Mul", {product, e.writer().Float(attributes.scale)}));
}

constexpr EmitterRow kRows[] = {
    {OpKind::kReduce, EmitReduce},
    {OpKind::kSoftmax, EmitSoftmax},
    {OpKind::kMatMul, EmitMatMul},
};

}  // namespace

std::span<const EmitterRow> ReductionEmitters() { return kRows; }

}  // namespace lockstep::onnx
