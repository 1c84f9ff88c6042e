#include "trainer/onnx/convert/emit.h"

#include <algorithm>
#include <numeric>

namespace lockstep::onnx {

models::Node NodeReading(const std::vector<std::string>& inputs) {
  models::Node node;
  for (const std::string& input : inputs) node.add_input(input);
  return node;
}

std::string Reshaped(Conversion& to, const std::string& x, const Dims& from, const Dims& shape,
                     const std::string& name) {
  if (from == shape) return x;
  // Of one that was reshaped before, the shape before doesn't matter.
  const models::Node* before = to.Emitted(x);
  models::Node node = NodeReading({before != nullptr && before->has_reshape() ? before->input(0) : x});
  for (const int64_t dim : shape) node.mutable_reshape()->add_shape(dim);
  // A single number has a dimension here.
  if (shape.empty()) node.mutable_reshape()->add_shape(1);
  return to.Emit(std::move(node), name);
}

std::string Transposed(Conversion& to, const std::string& x, const Dims& order, const std::string& name) {
  Dims same(order.size());
  std::iota(same.begin(), same.end(), 0);
  if (order == same) return x;
  // Two become one.
  const models::Node* before = to.Emitted(x);
  if (before != nullptr && before->has_transpose()) {
    Dims both;
    for (const int64_t d : order) both.push_back(before->transpose().order(static_cast<int>(d)));
    const std::string source = before->input(0);
    return Transposed(to, source, both, name);
  }
  models::Node node = NodeReading({x});
  for (const int64_t d : order) node.mutable_transpose()->add_order(static_cast<int32_t>(d));
  return to.Emit(std::move(node), name);
}

std::string Expanded(Conversion& to, const std::string& x, Dims from, const Dims& shape, const std::string& name) {
  if (from == shape) return x;
  std::string narrow = x;
  // Of a dimension that isn't there yet -1 is the batch.
  if (!shape.empty() && shape[0] == -1 && from.size() == shape.size() && from[0] == 1) {
    const Dims rest(from.begin() + 1, from.end());
    narrow = Reshaped(to, x, from, rest, name + ".one");
    from = rest;
  }
  const size_t missing = shape.size() - from.size();
  models::Node node = NodeReading({narrow});
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == -1 && d > 0 && d >= missing && from[d - missing] != -1)
      throw Unsupported("an expansion to the batch in another dimension than the first");
    node.mutable_expand()->add_shape(shape[d]);
  }
  return to.Emit(std::move(node), name);
}

std::string Sliced(Conversion& to, const std::string& x, const Dims& from, int axis, int64_t begin, int64_t step,
                   int64_t count, const std::string& name) {
  const int64_t size = from[static_cast<size_t>(axis)];
  if (begin == 0 && step == 1 && count == size) return x;
  if (size == -1) throw Unsupported("a part of the batch");
  if (count == 0) throw Unsupported("a slice of nothing");
  models::Node node = NodeReading({x});
  models::Slice& slice = *node.mutable_slice();
  slice.set_axis(axis);
  if (begin != 0) slice.set_begin(begin);
  if (step != 1) slice.set_step(step);
  const int64_t end = begin + step * (count - 1) + (step > 0 ? 1 : -1);
  if (end != size && end >= 0) slice.set_end(end);
  return to.Emit(std::move(node), name);
}

std::string Padded(Conversion& to, const std::string& x, const Dims& before, const Dims& after, double value,
                   const std::string& name) {
  const auto none = [](const Dims& dims) {
    return std::all_of(dims.begin(), dims.end(), [](int64_t d) { return d == 0; });
  };
  if (none(before) && none(after)) return x;
  models::Node node = NodeReading({x});
  for (const int64_t places : before) node.mutable_pad()->add_before(places);
  for (const int64_t places : after) node.mutable_pad()->add_after(places);
  if (value != 0) node.mutable_pad()->set_value(value);
  return to.Emit(std::move(node), name);
}

std::string WithNumber(Conversion& to, const std::string& x, OperandOf operation, double number,
                       const std::string& name) {
  models::Node node = NodeReading({x});
  (node.*operation)()->set_value(Decimal(number));
  return to.Emit(std::move(node), name);
}

std::string WithOther(Conversion& to, const std::string& x, OperandOf operation, const std::string& y,
                      const std::string& name) {
  models::Node node = NodeReading({x, y});
  (node.*operation)();
  return to.Emit(std::move(node), name);
}

std::string Functioned(Conversion& to, const std::string& x, models::Function::Kind kind, const std::string& name) {
  models::Node node = NodeReading({x});
  node.mutable_function()->set_kind(kind);
  return to.Emit(std::move(node), name);
}

std::string ReducedTo(Conversion& to, const std::string& x, models::Reduce::Kind kind, const std::vector<size_t>& axes,
                      bool keep, const std::string& name) {
  if (axes.empty()) return x;
  models::Node node = NodeReading({x});
  models::Reduce& reduce = *node.mutable_reduce();
  reduce.set_kind(kind);
  for (const size_t axis : axes) reduce.add_axes(static_cast<int32_t>(axis));
  reduce.set_keep(keep);
  return to.Emit(std::move(node), name);
}

}  // namespace lockstep::onnx
