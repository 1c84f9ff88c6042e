// Conversion's constants and parameters: values of the file that become nodes of their own, and what weights hold.
#include <algorithm>

#include "trainer/onnx/convert/conversion.h"
#include "trainer/onnx/convert/emit.h"

namespace lockstep::onnx {
namespace {

/// Constants of so many elements stand in the recipe itself.
constexpr size_t kMostInline = 16;

bool SameValues(const Tensor& a, const Tensor& b) {
  const auto same = [](double x, double y) { return x == y || (x != x && y != y); };
  return a.dims == b.dims && std::equal(a.values.begin(), a.values.end(), b.values.begin(), same);
}

/// Of a constant that grows with the batch: its values for one sample, where all samples have the same.
std::optional<Tensor> FirstOf(const Tensor& tensor, int64_t batch) {
  if (batch == 0 || tensor.dims.empty() || tensor.dims[0] != batch) return std::nullopt;
  Tensor one{tensor.type, Dims(tensor.dims.begin() + 1, tensor.dims.end()), {}};
  const size_t size = tensor.values.size() / static_cast<size_t>(batch);
  one.values.assign(tensor.values.begin(), tensor.values.begin() + static_cast<int64_t>(size));
  for (size_t i = size; i < tensor.values.size(); ++i)
    if (tensor.values[i] != one.values[i % size]) return std::nullopt;
  return one;
}

}  // namespace

std::optional<double> Conversion::Uniform(const std::string& value) const {
  const Known *a = view_.Find(value, 0), *b = view_.Find(value, 1);
  if (a == nullptr || b == nullptr || a->constant == nullptr || b->constant == nullptr || a->constant->values.empty())
    return std::nullopt;
  const double first = a->constant->values[0];
  for (const Known* known : {a, b})
    for (const double element : known->constant->values)
      if (element != first) return std::nullopt;
  return first;
}

std::optional<double> Conversion::Number(const std::string& value, const Dims& result) const {
  const std::optional<double> number = Uniform(value);
  const Known* known = view_.Find(value, 0);
  if (!number) return std::nullopt;
  return ElementsOf(known->dims) == 1 && known->dims.size() <= result.size() ? number : std::nullopt;
}

const Tensor* Conversion::Constant(const std::string& value) const {
  const Known *a = view_.Find(value, 0), *b = view_.Find(value, 1);
  if (a == nullptr || b == nullptr || a->constant == nullptr || b->constant == nullptr) return nullptr;
  return SameValues(*a->constant, *b->constant) ? a->constant.get() : nullptr;
}

void Conversion::Store(const std::string& name, const Dims& dims, std::vector<float> values) {
  if (stored_.insert(name).second) result_.tensors.push_back({name, dims, std::move(values)});
}

void Conversion::StoreParameter(const std::string& initializer, const std::string& name, bool turned) {
  if (parameter_names_[initializer].empty()) parameter_names_[initializer] = name;
  if (stored_.contains(name)) return;
  const TensorProto& tensor = *view_.Initializer(initializer);
  Dims dims(tensor.dims().begin(), tensor.dims().end());
  if (dims.empty()) dims = {1};
  std::vector<float> values = ReadFloats(tensor, view_.external());
  if (turned) {
    const std::vector<float> rows = values;
    for (int64_t i = 0; i < dims.at(0); ++i)
      for (int64_t j = 0; j < dims.at(1); ++j)
        values[static_cast<size_t>(j * dims[0] + i)] = rows[static_cast<size_t>(i * dims[1] + j)];
    std::swap(dims[0], dims[1]);
    ++result_.counts.transposed;
  }
  if (!IsGivenName(initializer)) ++result_.counts.renamed;
  CountParameter(dims);
  Store(name, dims, std::move(values));
}

void Conversion::CountParameter(const Dims& dims) {
  ++result_.counts.parameters;
  result_.counts.parameter_elements += ElementsOf(dims);
}

Ref Conversion::ConstantValue(const std::string& value, const std::string& name) {
  models::Node node;
  if (view_.IsParameter(value)) {
    const Dims dims = view_.Find(value, 0)->dims;
    std::string& known_as = parameter_names_[value];
    for (const int64_t dim : dims) node.mutable_parameter()->add_shape(dim);
    if (dims.empty()) node.mutable_parameter()->add_shape(1);
    if (known_as.empty()) {
      const std::string emitted = Emit(std::move(node), name);
      StoreParameter(value, emitted, false);
    }
    return {known_as};
  }
  if (const Tensor* constant = Constant(value)) {
    return {EmitBuffer(name, constant->dims, {constant->values.begin(), constant->values.end()})};
  }
  const std::optional<Tensor> sample = OneSample(value);
  if (!sample) throw Unsupported("a constant that depends on the batch");
  Dims dims = sample->dims;
  dims.insert(dims.begin(), 1);
  const std::string row = rows_[value] = EmitBuffer(name, dims, {sample->values.begin(), sample->values.end()});
  return {Expanded(*this, row, dims, OpenShape(value), row + ".of_batch")};
}

std::string Conversion::FloatsToBroadcast(const std::string& value) {
  if (const auto found = rows_.find(value); found != rows_.end()) return found->second;
  const std::optional<Tensor> sample = IsBound(value) || Constant(value) != nullptr ? std::nullopt : OneSample(value);
  if (!sample) return Floats(value);
  Dims dims = sample->dims;
  dims.insert(dims.begin(), 1);
  const NodeProto* producer = view_.ProducerOf(value);
  const std::string path = producer == nullptr ? "" : ModulePathOf(*producer);
  return rows_[value] = EmitBuffer(path.empty() ? "constant" : path + ".constant", dims,
                                   {sample->values.begin(), sample->values.end()});
}

std::string Conversion::EmitBuffer(const std::string& name, Dims dims, std::vector<float> values) {
  const bool uniform = std::all_of(values.begin(), values.end(), [&](float v) { return v == values[0]; });
  if (dims.empty()) dims = {1};
  models::Node node;
  for (const int64_t dim : dims) node.mutable_buffer()->add_shape(dim);
  if (uniform && !values.empty() && values[0] != 0) node.mutable_buffer()->add_values(values[0]);
  if (!uniform && values.size() <= kMostInline)
    for (const float element : values) node.mutable_buffer()->add_values(element);
  const std::string emitted = Emit(std::move(node), name);
  ++result_.counts.buffers;
  Store(emitted, dims, std::move(values));
  return emitted;
}

std::optional<Tensor> Conversion::OneSample(const std::string& value) const {
  const Known* known[2] = {view_.Find(value, 0), view_.Find(value, 1)};
  for (const Known* one : known)
    if (one == nullptr || one->constant == nullptr) return std::nullopt;
  const std::optional<Tensor> sample = FirstOf(*known[0]->constant, view_.batch(0));
  const std::optional<Tensor> other = FirstOf(*known[1]->constant, view_.batch(1));
  return sample && other && SameValues(*sample, *other) ? sample : std::nullopt;
}

}  // namespace lockstep::onnx
