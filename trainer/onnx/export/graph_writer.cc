#include "trainer/onnx/export/graph_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace lockstep::onnx {

AttributeProto Attribute(const std::string& name, int64_t value) {
  AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(AttributeProto::INT);
  attribute.set_i(value);
  return attribute;
}

AttributeProto Attribute(const std::string& name, float value) {
  AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(AttributeProto::FLOAT);
  attribute.set_f(value);
  return attribute;
}

AttributeProto Attribute(const std::string& name, std::vector<int64_t> values) {
  AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(AttributeProto::INTS);
  attribute.mutable_ints()->Assign(values.begin(), values.end());
  return attribute;
}

AttributeProto Attribute(const std::string& name, const char* text) {
  AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(AttributeProto::STRING);
  attribute.set_s(text);
  return attribute;
}

uint16_t HalfBits(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  if (std::isnan(value)) return sign | 0x7e00;
  const float size = std::abs(value);
  if (size >= 65520) return sign | 0x7c00;
  // Below the least normal half, 2^-14, halves are multiples of 2^-24; above it their significands have 11 bits.
  const int exponent = size < 0x1p-14f ? -14 : std::ilogb(size);
  const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  // A significand that rounds up to 2^11 carries into the exponent, as it should.
  return static_cast<uint16_t>(sign | ((static_cast<uint32_t>(exponent + 14) << 10) + steps));
}

namespace {

void SetFloats(TensorProto& tensor, std::span<const float> values, TensorProto::DataType type) {
  tensor.set_data_type(type);
  std::string& raw = *tensor.mutable_raw_data();
  if (type == TensorProto::FLOAT) {
    raw.assign(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    return;
  }
  raw.resize(values.size() * sizeof(uint16_t));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits = HalfBits(values[i]);
    std::memcpy(raw.data() + i * sizeof bits, &bits, sizeof bits);
  }
}

void SetDims(TensorProto& tensor, const Shape& shape) {
  for (const int64_t dim : shape.dims()) tensor.add_dims(dim);
}

TensorProto IntegerTensor(std::span<const int64_t> values, bool scalar) {
  TensorProto tensor;
  tensor.set_data_type(TensorProto::INT64);
  if (!scalar) tensor.add_dims(static_cast<int64_t>(values.size()));
  tensor.set_raw_data(values.data(), values.size_bytes());
  return tensor;
}

}  // namespace

std::string GraphWriter::NewName(const std::string& wanted) {
  if (names_.insert(wanted).second) return wanted;
  for (;;) {
    std::string name = fmt::format("{}/{}", wanted, ++numbers_[wanted]);
    if (names_.insert(name).second) return name;
  }
}

std::vector<std::string> GraphWriter::Nodes(const std::string& type, std::vector<std::string> inputs,
                                            std::vector<AttributeProto> attributes, size_t outputs) {
  NodeProto& node = *graph_.add_node();
  node.set_op_type(type);
  while (!inputs.empty() && inputs.back().empty()) inputs.pop_back();
  for (std::string& input : inputs) node.add_input(std::move(input));
  for (AttributeProto& attribute : attributes) *node.add_attribute() = std::move(attribute);
  std::vector<std::string> results;
  for (size_t i = 0; i < outputs; ++i) {
    results.push_back(NewName(fmt::format("{}/{}", prefix_, type)));
    node.add_output(results.back());
  }
  node.set_name(results.front());
  return results;
}

std::string GraphWriter::Node(const std::string& type, std::vector<std::string> inputs,
                              std::vector<AttributeProto> attributes) {
  return Nodes(type, std::move(inputs), std::move(attributes), 1)[0];
}

std::string GraphWriter::Constant(TensorProto tensor) {
  auto [known, added] = constants_.try_emplace(tensor.SerializeAsString());
  if (!added) return known->second;
  known->second = NewName("constant");
  tensor.set_name(known->second);
  *graph_.add_initializer() = std::move(tensor);
  return known->second;
}

std::string GraphWriter::Integers(std::span<const int64_t> values) { return Constant(IntegerTensor(values, false)); }

std::string GraphWriter::Integer(int64_t value) { return Constant(IntegerTensor({&value, 1}, true)); }

std::string GraphWriter::Float(float value) { return Floats({&value, 1}, {}); }

std::string GraphWriter::Floats(std::span<const float> values, const Shape& shape, bool wide) {
  CHECK(static_cast<int64_t>(values.size()) == shape.size());
  TensorProto tensor;
  SetDims(tensor, shape);
  SetFloats(tensor, values, wide ? TensorProto::FLOAT : float_type());
  return Constant(std::move(tensor));
}

void GraphWriter::Weight(const std::string& name, const Shape& shape, std::span<const float> values) {
  CHECK(names_.insert(name).second, "two tensors are named {}", name);
  TensorProto& tensor = *graph_.add_initializer();
  SetDims(tensor, shape);
  SetFloats(tensor, values, float_type());
  tensor.set_name(name);
}

void GraphWriter::Input(const std::string& name, const ValueInfoProto& info) {
  CHECK(names_.insert(name).second, "two tensors are named {}", name);
  *graph_.add_input() = info;
}

void GraphWriter::Output(const std::string& name, const ValueInfoProto& info) {
  // An identity of one's own for each: what it names may be an input, or another output too.
  NodeProto& node = *graph_.add_node();
  node.set_op_type("Identity");
  node.set_name(NewName(info.name() + "/output"));
  node.add_input(name);
  node.add_output(info.name());
  CHECK(names_.insert(info.name()).second, "two tensors are named {}", info.name());
  *graph_.add_output() = info;
}

GraphProto GraphWriter::Finish() {
  std::set<std::string> wanted;
  for (const ValueInfoProto& output : graph_.output()) wanted.insert(output.name());
  std::vector<NodeProto> nodes;  // the last first
  for (auto node = graph_.mutable_node()->rbegin(); node != graph_.mutable_node()->rend(); ++node) {
    if (std::ranges::none_of(node->output(), [&](const std::string& output) { return wanted.contains(output); }))
      continue;
    wanted.insert(node->input().begin(), node->input().end());
    nodes.push_back(std::move(*node));
  }
  graph_.clear_node();
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) *graph_.add_node() = std::move(*node);
  google::protobuf::RepeatedPtrField<TensorProto> initializers;
  for (TensorProto& tensor : *graph_.mutable_initializer())
    if (wanted.contains(tensor.name())) *initializers.Add() = std::move(tensor);
  graph_.mutable_initializer()->Swap(&initializers);
  return std::move(graph_);
}

ValueInfoProto ValueInfo(const std::string& name, TensorProto::DataType type, std::span<const OpenDimension> shape) {
  ValueInfoProto info;
  info.set_name(name);
  TypeProto::Tensor& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  TensorShapeProto& dims = *tensor.mutable_shape();
  for (const OpenDimension& one : shape) {
    TensorShapeProto::Dimension& dim = *dims.add_dim();
    if (one.fixed) dim.set_dim_value(one.size);
    if (!one.fixed && !one.name.empty()) dim.set_dim_param(one.name);
  }
  return info;
}

}  // namespace lockstep::onnx
