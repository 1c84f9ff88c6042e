#include "trainer/onnx/fold/step.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep::onnx {

const AttributeProto* Attributes::Find(const std::string& name) const {
  for (const AttributeProto& attribute : node_->attribute())
    if (attribute.name() == name) return &attribute;
  return nullptr;
}

int64_t Attributes::Int(const std::string& name, int64_t otherwise) const {
  const AttributeProto* found = Find(name);
  return found == nullptr ? otherwise : found->i();
}

double Attributes::Float(const std::string& name, double otherwise) const {
  const AttributeProto* found = Find(name);
  return found == nullptr ? otherwise : Decimal(static_cast<double>(found->f()));
}

std::string Attributes::String(const std::string& name, const std::string& otherwise) const {
  const AttributeProto* found = Find(name);
  return found == nullptr ? otherwise : found->s();
}

Dims Attributes::Ints(const std::string& name, Dims otherwise) const {
  const AttributeProto* found = Find(name);
  return found == nullptr ? otherwise : Dims(found->ints().begin(), found->ints().end());
}

std::vector<double> Attributes::Floats(const std::string& name) const {
  const AttributeProto* found = Find(name);
  return found == nullptr ? std::vector<double>() : std::vector<double>(found->floats().begin(), found->floats().end());
}

std::vector<std::string> Attributes::Strings(const std::string& name) const {
  const AttributeProto* found = Find(name);
  return found == nullptr ? std::vector<std::string>()
                          : std::vector<std::string>(found->strings().begin(), found->strings().end());
}

const TensorProto* Attributes::TensorOf(const std::string& name) const {
  const AttributeProto* found = Find(name);
  return found == nullptr || !found->has_t() ? nullptr : &found->t();
}

int64_t Sensible(int64_t value) {
  constexpr int64_t kMost = 1 << 20;
  if (value < -kMost || value > kMost) throw Unsupported(fmt::format("a size of {}", value));
  return value;
}

int Axis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) throw Unsupported(fmt::format("axis {} of {} dimensions", axis, rank));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

Dims Broadcast(const Dims& a, const Dims& b) {
  Dims result(std::max(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) throw Unsupported(fmt::format("{} and {} don't fit", ToString(a), ToString(b)));
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

Dims StridesOf(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

const Known& Step::In(size_t index) const {
  if (!Has(index)) throw Unsupported(fmt::format("input {} is missing", index));
  return *inputs_[index];
}

const Tensor& Step::Constant(size_t index) const {
  const Known& input = In(index);
  if (input.constant == nullptr)
    throw Unsupported(fmt::format("its input \"{}\" depends on data", node_->input(static_cast<int>(index))));
  return *input.constant;
}

Dims Step::Ints(size_t index) const {
  const Tensor& tensor = Constant(index);
  Dims ints;
  for (const double value : tensor.values) ints.push_back(ToInt64(value));
  return ints;
}

double Step::Scalar(size_t index) const {
  const Tensor& tensor = Constant(index);
  if (tensor.values.size() != 1) throw Unsupported(fmt::format("input {} is no single number", index));
  return tensor.values[0];
}

Dims Step::IntsOf(const std::string& name, size_t index, Dims otherwise) const {
  if (attributes.Has(name)) return attributes.Ints(name);
  return Has(index) ? Ints(index) : otherwise;
}

bool Step::AllConstant() const {
  return std::all_of(inputs_.begin(), inputs_.end(),
                     [](const Known* input) { return input == nullptr || input->constant != nullptr; });
}

}  // namespace lockstep::onnx
