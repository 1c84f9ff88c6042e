// Shape inference and folding of operators that look things up, and of those that make tensors from shapes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "trainer/onnx/fold/fold.h"

namespace lockstep::onnx {
namespace {

void Declare(Step& step, int type, Dims dims) { step.outputs.at(0) = Known{type, std::move(dims)}; }

void SetConstant(Known& known, std::vector<double> values) {
  known.constant = std::make_shared<const Tensor>(Tensor{known.type, known.dims, std::move(values)});
}

void InferShape(Step& step) {
  const Dims& x = step.DimsOf(0);
  const int64_t rank = step.In(0).rank();
  const auto clamp = [&](int64_t place) { return std::clamp<int64_t>(place < 0 ? place + rank : place, 0, rank); };
  const int64_t begin = clamp(step.attributes.Int("start", 0)), end = clamp(step.attributes.Int("end", rank));
  std::vector<double> values;
  for (int64_t d = begin; d < end; ++d) values.push_back(static_cast<double>(x[static_cast<size_t>(d)]));
  Declare(step, TensorProto::INT64, {static_cast<int64_t>(values.size())});
  SetConstant(step.outputs[0], std::move(values));
}

void InferSize(Step& step) {
  Declare(step, TensorProto::INT64, {});
  SetConstant(step.outputs[0], {static_cast<double>(step.In(0).elements_count())});
}

void InferConstantOfShape(Step& step) {
  const TensorProto* value = step.attributes.TensorOf("value");
  Declare(step, value == nullptr ? static_cast<int>(TensorProto::FLOAT) : value->data_type(), step.Ints(0));
}

void ConstantOfShape(const Step& step, Tensor& result) {
  const TensorProto* value = step.attributes.TensorOf("value");
  const double fill = value == nullptr ? 0 : ReadTensor(*value, nullptr).values.at(0);
  result.values.assign(static_cast<size_t>(ElementsOf(result.dims)), fill);
}

void InferRange(Step& step) {
  const double begin = step.Scalar(0), end = step.Scalar(1), delta = step.Scalar(2);
  if (delta == 0) throw Unsupported("a range with steps of 0");
  Declare(step, step.In(0).type, {std::max<int64_t>(0, ToInt64(std::ceil((end - begin) / delta)))});
}

void Range(const Step& step, Tensor& result) {
  const double begin = step.Scalar(0), delta = step.Scalar(2);
  for (int64_t i = 0; i < result.dims[0]; ++i)
    result.values.push_back(RoundTo(result.type, begin + static_cast<double>(i) * delta));
}

size_t GatherAxis(const Step& step) {
  return static_cast<size_t>(Axis(step.attributes.Int("axis", 0), step.In(0).rank()));
}

/// A place that may count from the end.
int64_t Place(double value, int64_t size) {
  const int64_t place = ToInt64(value);
  if (place < -size || place >= size) throw Unsupported(fmt::format("place {} of {}", place, size));
  return place < 0 ? place + size : place;
}

void InferGather(Step& step) {
  const Dims &x = step.DimsOf(0), &index = step.DimsOf(1);
  const auto axis = x.begin() + static_cast<int64_t>(GatherAxis(step));
  Dims dims(x.begin(), axis);
  dims.insert(dims.end(), index.begin(), index.end());
  dims.insert(dims.end(), axis + 1, x.end());
  Declare(step, step.In(0).type, std::move(dims));
}

void Gather(const Step& step, Tensor& result) {
  const Tensor &x = step.Constant(0), &index = step.Constant(1);
  const size_t axis = GatherAxis(step);
  const int64_t inner = StridesOf(x.dims)[axis];
  const int64_t outer = ElementsOf(Dims(x.dims.begin(), x.dims.begin() + static_cast<int64_t>(axis)));
  for (int64_t o = 0; o < outer; ++o)
    for (const double value : index.values) {
      const auto from = x.values.begin() + (o * x.dims[axis] + Place(value, x.dims[axis])) * inner;
      result.values.insert(result.values.end(), from, from + inner);
    }
}

void InferGatherNd(Step& step) {
  const Dims &x = step.DimsOf(0), &index = step.DimsOf(1);
  const int64_t batch_dims = step.attributes.Int("batch_dims", 0);
  if (index.empty() || index.back() + batch_dims > step.In(0).rank() || batch_dims >= step.In(1).rank() ||
      batch_dims < 0)
    throw Unsupported(fmt::format("places {} in {}", ToString(index), ToString(x)));
  Dims dims(index.begin(), index.end() - 1);
  dims.insert(dims.end(), x.begin() + batch_dims + index.back(), x.end());
  Declare(step, step.In(0).type, std::move(dims));
}

void GatherNd(const Step& step, Tensor& result) {
  const Tensor &x = step.Constant(0), &index = step.Constant(1);
  const Dims strides = StridesOf(x.dims);
  const size_t batch_dims = static_cast<size_t>(step.attributes.Int("batch_dims", 0));
  const size_t depth = static_cast<size_t>(index.dims.back());
  const int64_t inner =
      batch_dims + depth == 0 ? static_cast<int64_t>(x.values.size()) : strides[batch_dims + depth - 1];
  size_t next = 0;
  ForEachIndex(Dims(index.dims.begin(), index.dims.end() - 1), [&](const Dims& at) {
    int64_t offset = 0;
    for (size_t d = 0; d < batch_dims; ++d) offset += at[d] * strides[d];
    for (size_t d = 0; d < depth; ++d)
      offset += Place(index.values[next++], x.dims[batch_dims + d]) * strides[batch_dims + d];
    result.values.insert(result.values.end(), x.values.begin() + offset, x.values.begin() + offset + inner);
  });
}

void InferGatherElements(Step& step) { Declare(step, step.In(0).type, step.DimsOf(1)); }

void GatherElements(const Step& step, Tensor& result) {
  const Tensor &x = step.Constant(0), &index = step.Constant(1);
  const Dims strides = StridesOf(x.dims);
  const size_t axis = GatherAxis(step);
  if (index.dims.size() != x.dims.size()) throw Unsupported("places of other dimensions than there are");
  size_t next = 0;
  ForEachIndex(result.dims, [&](const Dims& at) {
    int64_t offset = 0;
    for (size_t d = 0; d < at.size(); ++d)
      offset += (d == axis ? Place(index.values[next], x.dims[d]) : at[d]) * strides[d];
    ++next;
    result.values.push_back(x.values.at(static_cast<size_t>(offset)));
  });
}

void InferScatter(Step& step) { Declare(step, step.In(0).type, step.DimsOf(0)); }

void ScatterNd(const Step& step, Tensor& result) {
  const Tensor &x = step.Constant(0), &index = step.Constant(1), &updates = step.Constant(2);
  if (step.attributes.String("reduction", "none") != "none") throw Unsupported("a reduction");
  result.values = x.values;
  const Dims strides = StridesOf(x.dims);
  const size_t depth = static_cast<size_t>(index.dims.back());
  if (depth == 0 || depth > x.dims.size()) throw Unsupported("places of other dimensions than there are");
  const int64_t inner = strides[depth - 1];
  size_t next = 0, from = 0;
  ForEachIndex(Dims(index.dims.begin(), index.dims.end() - 1), [&](const Dims&) {
    int64_t offset = 0;
    for (size_t d = 0; d < depth; ++d) offset += Place(index.values[next++], x.dims[d]) * strides[d];
    for (int64_t i = 0; i < inner; ++i) result.values[static_cast<size_t>(offset + i)] = updates.values.at(from++);
  });
}

/// The upper or lower triangle of the last two dimensions; the rest is 0.
void Triangle(const Step& step, Tensor& result) {
  const Tensor& x = step.Constant(0);
  const bool upper = step.attributes.Int("upper", 1) != 0;
  const int64_t shift = step.Has(1) ? ToInt64(step.Scalar(1)) : 0;
  size_t next = 0;
  ForEachIndex(result.dims, [&](const Dims& index) {
    const int64_t row = index.at(index.size() - 2), column = index.back();
    const bool stays = upper ? column >= row + shift : column <= row + shift;
    result.values.push_back(stays ? x.values[next] : 0);
    ++next;
  });
}

void InferTriangle(Step& step) {
  if (step.In(0).rank() < 2) throw Unsupported("a triangle of less than two dimensions");
  Declare(step, step.In(0).type, step.DimsOf(0));
}

void InferTopK(Step& step) {
  Dims dims = step.DimsOf(0);
  dims[static_cast<size_t>(Axis(step.attributes.Int("axis", -1), step.In(0).rank()))] = ToInt64(step.Scalar(1));
  Declare(step, step.In(0).type, dims);
  if (step.outputs.size() > 1) step.outputs[1] = Known{TensorProto::INT64, dims};
}

void InferOneHot(Step& step) {
  Dims dims = step.DimsOf(0);
  const int64_t axis = Axis(step.attributes.Int("axis", -1), step.In(0).rank() + 1);
  dims.insert(dims.begin() + axis, ToInt64(step.Scalar(1)));
  Declare(step, step.In(2).type, std::move(dims));
}

}  // namespace

OpRules IndexRules() {
  return {
      {"ConstantOfShape", {InferConstantOfShape, ConstantOfShape}},
      {"Gather", {InferGather, Gather}},
      {"GatherElements", {InferGatherElements, GatherElements}},
      {"GatherND", {InferGatherNd, GatherNd}},
      {"OneHot", {InferOneHot, nullptr}},
      {"Range", {InferRange, Range}},
      {"ScatterElements", {InferScatter, nullptr}},
      {"ScatterND", {InferScatter, ScatterNd}},
      {"Shape", {InferShape, nullptr}},
      {"Size", {InferSize, nullptr}},
      {"TopK", {InferTopK, nullptr}},
      {"Trilu", {InferTriangle, Triangle}},
  };
}

}  // namespace lockstep::onnx
