#include "trainer/onnx/export/emission.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace lockstep::onnx {

using graph::kNoValue;
using graph::ValueId;

Emission::Emission(const ModelSizes& model, const WeightsByName& weights, GraphWriter& writer)
    : graph_(model.graph), sizes_(model), weights_(weights), writer_(writer), forms_(model.graph.values.size()) {}

void Emission::Begin(size_t op) {
  index_ = op;
  writer_.Name(this->op().name);
}

bool Emission::Has(size_t input) const { return input < op().inputs.size() && op().inputs[input] != kNoValue; }

void Emission::Fail(const std::string& message, const std::string& hint) const {
  throw Error(ErrorKind::kUsage, fmt::format("ONNX: {}", message), op().name, hint);
}

std::string Emission::Input(size_t input, Order order) { return Has(input) ? Tensor(op().inputs[input], order) : ""; }

std::string Emission::Truth(size_t input, Order order) { return Tensor(op().inputs[input], order, true); }

std::string Emission::Operand(size_t input, Order order, bool truth) {
  const Shape& shape = InputShape(input);
  if (order == Order::kOurs || shape.size() == 1) return Tensor(op().inputs[input], Order::kOurs, truth);
  if (shape.rank() == 4) return Tensor(op().inputs[input], order, truth);
  const std::string tensor = Tensor(op().inputs[input], Order::kOurs, truth);
  const int64_t channels = shape.dim(-1);
  if (shape.size() == channels) return Reshape(tensor, {channels, 1, 1});
  std::vector<Size> from = sizes_.Of(op().inputs[input]);
  const Size one(from[0].size(), 1);
  std::vector<Size> to = from;
  while (to.size() < 4) to.insert(to.begin(), one);
  return Transpose(Reshape(tensor, from, to), kOrderChannelsFirst);
}

Order Emission::CommonOrder() const {
  for (size_t i = 0; i < op().inputs.size(); ++i) {
    if (!Has(i) || InputShape(i).rank() != 4) continue;
    if (HasInOrder(i, Order::kChannelsFirst) && !HasInOrder(i, Order::kOurs)) return Order::kChannelsFirst;
  }
  return Order::kOurs;
}

bool Emission::HasInOrder(size_t input, Order order) const { return Has(input) && Holds(op().inputs[input], order); }

void Emission::Result(std::string tensor, Order order, size_t result) {
  if (op().outputs[result] != kNoValue) Hold(op().outputs[result], std::move(tensor), order);
}

void Emission::TruthResult(std::string tensor, Order order) { Hold(op().outputs[0], std::move(tensor), order, true); }

void Emission::Hold(ValueId value, std::string tensor, Order order, bool truth) {
  forms_[static_cast<size_t>(value)].at(order, truth) = std::move(tensor);
}

bool Emission::Holds(ValueId value, Order order) const {
  const Forms& forms = forms_[static_cast<size_t>(value)];
  return !forms.at(order, false).empty() || !forms.at(order, true).empty();
}

void Emission::LoadWeight(ValueId value) {
  const graph::Role role = graph_.value(value).role;
  if (role == graph::Role::kParameter || role == graph::Role::kStatistic) WriteWeight(value, graph_.value(value).shape);
}

void Emission::WriteWeight(ValueId parameter, const Shape& shape) {
  const std::string& name = graph_.value(parameter).name;
  CHECK(!Holds(parameter, Order::kOurs), "{} is read in two shapes", name);
  writer_.Weight(name, shape, weights_(name));
  Hold(parameter, name, Order::kOurs);
}

std::string Emission::Tensor(ValueId value, Order order, bool truth) {
  const Order other = order == Order::kOurs ? Order::kChannelsFirst : Order::kOurs;
  if (!Holds(value, order) && !Holds(value, other)) LoadWeight(value);
  Forms& forms = forms_[static_cast<size_t>(value)];
  std::string& tensor = forms.at(order, truth);
  if (!tensor.empty()) return tensor;
  if (!forms.at(order, !truth).empty()) {
    const bool integers = graph_.value(value).dtype == DType::kI32;
    const int64_t type = truth ? TensorProto::BOOL : integers ? TensorProto::INT64 : writer_.float_type();
    return tensor = Node("Cast", {forms.at(order, !truth)}, {Attribute("to", type)});
  }
  CHECK(Holds(value, other), "{} is read before it is made", graph_.value(value).name);
  const std::string from = Tensor(value, other, truth);
  constexpr std::array<int, 4> kBack = kPlaceChannelsFirst;
  return tensor = Transpose(from, order == Order::kChannelsFirst ? kOrderChannelsFirst : kBack);
}

const graph::Op* Emission::Maker(ValueId value) const {
  for (const graph::Op& op : graph_.ops)
    if (std::ranges::find(op.outputs, value) != op.outputs.end()) return &op;
  return nullptr;
}

std::vector<const graph::Op*> Emission::Readers(ValueId value) const {
  std::vector<const graph::Op*> readers;
  for (const graph::Op& op : graph_.ops)
    if (std::ranges::find(op.inputs, value) != op.inputs.end()) readers.push_back(&op);
  return readers;
}

std::string Emission::Wide(const std::string& tensor) {
  if (tensor.empty() || writer_.float_type() == TensorProto::FLOAT) return tensor;
  return Node("Cast", {tensor}, {Attribute("to", TensorProto::FLOAT)});
}

std::string Emission::Narrow(const std::string& tensor) {
  if (writer_.float_type() == TensorProto::FLOAT) return tensor;
  return Node("Cast", {tensor}, {Attribute("to", writer_.float_type())});
}

std::string Emission::Transpose(const std::string& tensor, std::span<const int> order) {
  return Node("Transpose", {tensor}, {Attribute("perm", std::vector<int64_t>(order.begin(), order.end()))});
}

std::string Emission::Reshape(const std::string& tensor, std::initializer_list<int64_t> shape) {
  return Node("Reshape", {tensor, writer_.Integers(shape)});
}

// A dimension that varies is the tensor's at its place, or the rest; only where neither says it, it is computed.
std::string Emission::Reshape(const std::string& tensor, std::span<const Size> from, std::span<const Size> to) {
  std::vector<int64_t> shape;
  bool rest = false, simple = true;
  for (size_t i = 0; i < to.size(); ++i) {
    if (IsFixed(to[i])) {
      shape.push_back(to[i][0]);
    } else if (i < from.size() && from[i] == to[i]) {
      shape.push_back(0);
    } else {
      simple = simple && !rest;
      rest = true;
      shape.push_back(-1);
    }
  }
  return Node("Reshape", {tensor, simple ? writer_.Integers(shape) : SizesTensor(to)});
}

std::string Emission::Slice(const std::string& tensor, int64_t axis, int64_t begin, int64_t end) {
  return Node("Slice", {tensor, writer_.Integers({begin}), writer_.Integers({end}), writer_.Integers({axis})});
}

std::string Emission::Squeeze(const std::string& tensor, int64_t axis) {
  return Node("Squeeze", {tensor, writer_.Integers({axis})});
}

std::string Emission::Unsqueeze(const std::string& tensor, std::initializer_list<int64_t> axes) {
  return Node("Unsqueeze", {tensor, writer_.Integers(axes)});
}

namespace {

/// The whole number that every element of `size` is of `unit`'s, or 0.
int64_t Factor(const Size& size, const Size& unit) {
  const int64_t factor = size[0] / unit[0];
  for (size_t i = 0; i < size.size(); ++i)
    if (size[i] != factor * unit[i]) return 0;
  return factor;
}

Size Product(const Size& a, const Size& b) {
  Size product = a;
  for (size_t i = 0; i < a.size(); ++i) product[i] *= b[i];
  return product;
}

}  // namespace

std::string Emission::SizeTensor(const Size& size) {
  if (IsFixed(size)) return writer_.Integers({size[0]});
  if (const auto known = size_tensors_.find(size); known != size_tensors_.end()) return known->second;
  const std::vector<SizeTable::Source>& sources = sizes_.sources();
  const auto read = [&](const SizeTable::Source& source) {
    std::string& tensor = size_tensors_[source.size];
    if (!tensor.empty()) return tensor;
    const std::string& input = graph_.value(source.input).name;
    return tensor = Node("Shape", {input}, {Attribute("start", source.axis), Attribute("end", source.axis + 1)});
  };
  for (const SizeTable::Source& source : sources) {
    const int64_t factor = Factor(size, source.size);
    if (factor == 0) continue;
    const std::string tensor = read(source);
    if (factor == 1) return tensor;
    return size_tensors_[size] = Node("Mul", {tensor, writer_.Integers({factor})});
  }
  for (const SizeTable::Source& a : sources) {
    for (const SizeTable::Source& b : sources) {
      const Size product = Product(a.size, b.size);
      const int64_t factor = Factor(size, product);
      if (factor == 0) continue;
      const std::string both = Node("Mul", {read(a), read(b)});
      return size_tensors_[size] = factor == 1 ? both : Node("Mul", {both, writer_.Integers({factor})});
    }
  }
  Fail(fmt::format("a dimension of {} follows in no simple way from the inputs' dimensions that vary", size[0]));
}

std::string Emission::SizesTensor(std::span<const Size> shape) {
  std::vector<std::string> parts;
  std::vector<int64_t> fixed;
  const auto flush = [&] {
    if (!fixed.empty()) parts.push_back(writer_.Integers(fixed));
    fixed.clear();
  };
  for (const Size& size : shape) {
    if (IsFixed(size)) {
      fixed.push_back(size[0]);
      continue;
    }
    flush();
    parts.push_back(SizeTensor(size));
  }
  flush();
  if (parts.size() == 1) return parts[0];
  return Node("Concat", std::move(parts), {Attribute("axis", 0)});
}

std::string Emission::Range(const Size& size) {
  if (IsFixed(size)) {
    std::vector<int64_t> numbers(static_cast<size_t>(size[0]));
    std::iota(numbers.begin(), numbers.end(), 0);
    return writer_.Integers(numbers);
  }
  std::string& range = ranges_[size];
  if (!range.empty()) return range;
  const std::string end = Squeeze(SizeTensor(size), 0);
  return range = Node("Range", {writer_.Integer(0), end, writer_.Integer(1)});
}

}  // namespace lockstep::onnx
