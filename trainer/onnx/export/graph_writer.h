// Writes an ONNX graph node by node, in the order of computation: gives nodes and tensors names, and holds constants.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/shape.h"
#include "trainer/onnx/onnx.pb.h"

namespace lockstep::onnx {

inline constexpr int kExportOpset = 17;

// Attributes of a node.
AttributeProto Attribute(const std::string& name, int64_t value);
inline AttributeProto Attribute(const std::string& name, int value) { return Attribute(name, int64_t{value}); }
AttributeProto Attribute(const std::string& name, float value);
AttributeProto Attribute(const std::string& name, std::vector<int64_t> values);
AttributeProto Attribute(const std::string& name, const char* text);

class GraphWriter {
 public:
  /// `half`: floats are 16 bits wide.
  explicit GraphWriter(bool half) : half_(half) {}

  TensorProto::DataType float_type() const { return half_ ? TensorProto::FLOAT16 : TensorProto::FLOAT; }

  /// What the names of the following nodes begin with.
  void Name(const std::string& prefix) { prefix_ = prefix; }

  /// Appends a node: the name of its result. Inputs "" are absent.
  std::string Node(const std::string& type, std::vector<std::string> inputs,
                   std::vector<AttributeProto> attributes = {});
  /// The same of a node with `outputs` results.
  std::vector<std::string> Nodes(const std::string& type, std::vector<std::string> inputs,
                                 std::vector<AttributeProto> attributes, size_t outputs);

  // Constants of one dimension, or none; equal ones are one.
  std::string Integers(std::span<const int64_t> values);
  std::string Integers(std::initializer_list<int64_t> values) {
    return Integers(std::span<const int64_t>(values.begin(), values.size()));
  }
  std::string Integer(int64_t value);  ///< a scalar
  std::string Float(float value);      ///< a scalar
  /// `wide`: 32 bits also in a graph of halves.
  std::string Floats(std::span<const float> values, const Shape& shape, bool wide = false);
  /// A weight under its own name. REQUIRES: there is none of that name yet.
  void Weight(const std::string& name, const Shape& shape, std::span<const float> values);

  void Input(const std::string& name, const ValueInfoProto& info);
  /// Makes tensor `name` the graph's output of that name in `info`.
  void Output(const std::string& name, const ValueInfoProto& info);

  /// The finished graph, without what leads to no output.
  GraphProto Finish();

 private:
  std::string NewName(const std::string& wanted);
  std::string Constant(TensorProto tensor);

  const bool half_;
  GraphProto graph_;
  std::string prefix_;
  std::set<std::string> names_;
  std::map<std::string, int> numbers_;
  std::map<std::string, std::string> constants_;  ///< name by bytes
};

/// A tensor's or graph end's type and dimensions: names of those that vary, "" where they have none.
struct OpenDimension {
  int64_t size = 0;  ///< where it is fixed
  bool fixed = true;
  std::string name = {};
};
ValueInfoProto ValueInfo(const std::string& name, TensorProto::DataType type, std::span<const OpenDimension> shape);

/// Bits of the nearest IEEE half; too large ones become infinite.
uint16_t HalfBits(float value);

}  // namespace lockstep::onnx
