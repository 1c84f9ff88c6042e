// Operators that reduce dimensions, softmax and running sums.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "trainer/onnx/convert/emit.h"
#include "trainer/onnx/fold/reductions.h"

namespace lockstep::onnx {
namespace {

using models::Function;
using models::Node;
using models::Reduce;

Reduce::Kind KindOf(const std::string& op) {
  if (op == "ReduceMean") return Reduce::MEAN;
  if (op == "ReduceMax") return Reduce::MAX;
  if (op == "ReduceMin") return Reduce::MIN;
  if (op == "ReduceProd") return Reduce::PRODUCT;
  return Reduce::SUM;
}

/// log(sum(exp(x))), with the largest taken out and put back.
std::string LogOfSums(Conversion& to, const OpNode& node, const std::string& x, const Reduction& reduction,
                      const std::string& name) {
  const std::string most = ReducedTo(to, x, Reduce::MAX, reduction.axes, true, name + ".largest");
  const std::string rest = WithOther(to, x, &Node::mutable_subtract, most, name + ".rest");
  const std::string sum = ReducedTo(to, Functioned(to, rest, Function::EXP, name + ".exp"), Reduce::SUM, reduction.axes,
                                    true, name + ".sum");
  const std::string log = Functioned(to, sum, Function::LOG, name + ".log");
  const std::string y = WithOther(to, log, &Node::mutable_add, most, name);
  if (reduction.keep) return y;
  Dims kept = to.OpenShape(node.input(0));
  for (const size_t axis : reduction.axes) kept[axis] = 1;
  return Reshaped(to, y, kept, to.OpenShape(node.output()), name + ".squeeze");
}

void ConvertReduce(Conversion& to, const OpNode& node) {
  const Reduction reduction = ReductionOf(node.step());
  std::string x = to.Floats(node.input(0));
  const std::string& op = node.op();
  const bool over_image = reduction.axes == std::vector<size_t>{2, 3} && node.rank() == 4;
  if (op == "ReduceMean" && over_image && !reduction.keep) {
    Node pool = NodeReading({x});
    pool.mutable_global_average_pool();
    return to.Bind(node.output(), {to.Emit(std::move(pool), to.NameFor(node, "pool"))});
  }
  std::string kind = op.substr(6);
  std::transform(kind.begin(), kind.end(), kind.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string name = to.NameFor(node, kind);
  if (op == "ReduceLogSumExp") return to.Bind(node.output(), {LogOfSums(to, node, x, reduction, name)});
  if (op == "ReduceL1") x = Functioned(to, x, Function::ABS, name + ".abs");
  if (op == "ReduceL2" || op == "ReduceSumSquare") x = WithOther(to, x, &Node::mutable_multiply, x, name + ".square");
  const bool last = op != "ReduceL2" && op != "ReduceLogSum";
  std::string y = ReducedTo(to, x, KindOf(op), reduction.axes, reduction.keep, last ? name : name + ".sum");
  if (op == "ReduceL2") y = Functioned(to, y, Function::SQRT, name);
  if (op == "ReduceLogSum") y = Functioned(to, y, Function::LOG, name);
  to.Bind(node.output(), {y});
}

void ConvertSoftmax(Conversion& to, const OpNode& node) {
  Node softmax = NodeReading({to.Floats(node.input(0))});
  const int axis = Axis(node.attributes().Int("axis", -1), node.rank());
  softmax.mutable_softmax();
  if (axis != node.rank() - 1) softmax.mutable_softmax()->set_axis(axis);
  const bool log = node.op() == "LogSoftmax";
  if (log) softmax.mutable_softmax()->set_log(true);
  to.Bind(node.output(), {to.Emit(std::move(softmax), to.NameFor(node, log ? "log_softmax" : "softmax"))});
}

/// Of any axis, by way of the last.
void ConvertArg(Conversion& to, const OpNode& node) {
  if (node.attributes().Int("select_last_index", 0) != 0) throw Unsupported("the last of equal ones");
  const int rank = node.rank(), axis = Axis(node.attributes().Int("axis", 0), rank);
  const std::string name = to.NameFor(node, node.op() == "ArgMax" ? "arg_max" : "arg_min");
  std::string x = to.Floats(node.input(0));
  if (node.op() == "ArgMin") x = Functioned(to, x, Function::NEGATIVE, name + ".negative");
  Dims order(static_cast<size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  order.erase(order.begin() + axis);
  Dims left;
  for (const int64_t d : order) left.push_back(to.OpenShape(node.input(0))[static_cast<size_t>(d)]);
  order.push_back(axis);
  Node arg = NodeReading({Transposed(to, x, order, name + ".axis_last")});
  arg.mutable_arg_max();
  const std::string y = to.Emit(std::move(arg), name);
  to.Bind(node.output(), {Reshaped(to, y, left, to.OpenShape(node.output()), name + ".shape"), true});
}

/// A product with a triangle of ones: exact for what sums are made of in models, ones and zeros of masks.
void ConvertCumulativeSum(Conversion& to, const OpNode& node) {
  const int axis = node.Agreed([](const Step& step) { return Axis(ToInt64(step.Scalar(1)), step.In(0).rank()); });
  const int64_t size = node.input_dims(0)[static_cast<size_t>(axis)];
  if (to.OpenShape(node.input(0))[static_cast<size_t>(axis)] == -1) throw Unsupported("running sums over the batch");
  const bool exclusive = node.attributes().Int("exclusive", 0) != 0, reverse = node.attributes().Int("reverse", 0) != 0;
  const std::string name = to.NameFor(node, "running_sum");
  std::vector<float> triangle;
  for (int64_t from = 0; from < size; ++from)
    for (int64_t into = 0; into < size; ++into) {
      const bool before = reverse ? from > into : from < into;
      triangle.push_back(before || (from == into && !exclusive) ? 1.0F : 0.0F);
    }
  const std::string ones = to.EmitBuffer(name + ".triangle", {size, size}, std::move(triangle));
  Dims order(static_cast<size_t>(node.rank()));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[static_cast<size_t>(axis)], order.back());
  std::string x = Transposed(to, to.Floats(node.input(0)), order, name + ".axis_last");
  const bool vector = node.rank() == 1;
  if (vector) x = Reshaped(to, x, {size}, {1, size}, name + ".row");
  Node product = NodeReading({x, ones});
  product.mutable_matmul();
  std::string y = to.Emit(std::move(product), name);
  if (vector) y = Reshaped(to, y, {1, size}, {size}, name + ".vector");
  to.Bind(node.output(), {Transposed(to, y, order, name + ".axis_back")});
}

}  // namespace

ConvertRules ReductionConversions() {
  ConvertRules rules = {
      {"ArgMax", ConvertArg},         {"ArgMin", ConvertArg},      {"CumSum", ConvertCumulativeSum},
      {"LogSoftmax", ConvertSoftmax}, {"Softmax", ConvertSoftmax},
  };
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                         "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"})
    rules[op] = ConvertReduce;
  return rules;
}

}  // namespace lockstep::onnx
