// A node of an ONNX graph whose inputs are known, as rules of shape inference, folding and conversion see it.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "trainer/onnx/onnx.pb.h"
#include "trainer/onnx/tensor.h"

namespace lockstep::onnx {

/// Why a node can't be imported, in words: "padding mode \"wrap\"". All of them are told in one error.
class Unsupported : public std::exception {
 public:
  explicit Unsupported(std::string reason) : reason_(std::move(reason)) {}
  const char* what() const noexcept override { return reason_.c_str(); }

 private:
  std::string reason_;
};

/// Attributes by name, with the standard's defaults given by who asks.
class Attributes {
 public:
  explicit Attributes(const NodeProto& node) : node_(&node) {}
  bool Has(const std::string& name) const { return Find(name) != nullptr; }
  int64_t Int(const std::string& name, int64_t otherwise) const;
  double Float(const std::string& name, double otherwise) const;
  std::string String(const std::string& name, const std::string& otherwise) const;
  Dims Ints(const std::string& name, Dims otherwise = {}) const;
  std::vector<double> Floats(const std::string& name) const;
  std::vector<std::string> Strings(const std::string& name) const;
  const TensorProto* TensorOf(const std::string& name) const;

 private:
  const AttributeProto* Find(const std::string& name) const;
  const NodeProto* node_;
};

/// What is known of a value before anything runs, at one size of the batch.
struct Known {
  int type = TensorProto::UNDEFINED;
  Dims dims;
  std::shared_ptr<const Tensor> constant = nullptr;  ///< its values, where they follow from the file alone
  std::vector<Known> elements = {};                  ///< of a sequence; it has no type and dims of its own

  int rank() const { return static_cast<int>(dims.size()); }
  int64_t elements_count() const { return ElementsOf(dims); }
};
using KnownValues = std::unordered_map<std::string, Known>;

/// A number that sizes are multiplied with or added to; throws Unsupported for those that are out of all proportion.
int64_t Sensible(int64_t value);
/// 0 <= axis < rank, from one that may count from the end. Throws Unsupported.
int Axis(int64_t axis, int rank);
/// NumPy's broadcasting. Throws Unsupported where they don't fit.
Dims Broadcast(const Dims& a, const Dims& b);
/// Distances between neighbours of a row-major tensor, in elements.
Dims StridesOf(const Dims& dims);
/// Calls `visit(index)` for all indices of `dims` in row-major order.
template <typename Visit>
void ForEachIndex(const Dims& dims, const Visit& visit) {
  if (ElementsOf(dims) == 0) return;
  Dims index(dims.size(), 0);
  for (;;) {
    visit(static_cast<const Dims&>(index));
    size_t d = dims.size();
    while (d > 0 && ++index[d - 1] == dims[d - 1]) index[--d] = 0;
    if (d == 0) return;
  }
}

/// A node at one size of the batch.
class Step {
 public:
  Step(const NodeProto& node, int opset, std::vector<const Known*> inputs)
      : attributes(node), node_(&node), opset_(opset), inputs_(std::move(inputs)) {}

  const Attributes attributes;
  /// At least as many as the node names; rules fill in what they know.
  std::vector<Known> outputs;
  /// The sizes of the batch in the file and in this folding, where the file has it written out; else 0.
  int64_t exported_batch = 0, batch = 0;

  const NodeProto& node() const { return *node_; }
  const std::string& op() const { return node_->op_type(); }
  int opset() const { return opset_; }
  size_t inputs() const { return inputs_.size(); }
  bool Has(size_t index) const { return index < inputs_.size() && inputs_[index] != nullptr; }
  /// Throws Unsupported where it was left out.
  const Known& In(size_t index) const;
  const Dims& DimsOf(size_t index) const { return In(index).dims; }
  /// Throws Unsupported where it is not constant: a shape or an axis that depends on data.
  const Tensor& Constant(size_t index) const;
  Dims Ints(size_t index) const;
  double Scalar(size_t index) const;
  /// The attribute `name`, or input `index` as newer versions have it; `otherwise` where there is neither.
  Dims IntsOf(const std::string& name, size_t index, Dims otherwise = {}) const;
  bool AllConstant() const;

 private:
  const NodeProto* node_;
  int opset_;
  std::vector<const Known*> inputs_;
};

}  // namespace lockstep::onnx
