// Shape inference and folding of operators that move elements and compute none.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "trainer/onnx/fold/fold.h"
#include "trainer/onnx/fold/slices.h"

namespace lockstep::onnx {
namespace {

/// Copies elements in row-major order: the shape alone changes.
void Copy(const Step& step, Tensor& result) { result.values = step.Constant(0).values; }

void Declare(Step& step, Dims dims) { step.outputs.at(0) = Known{step.In(0).type, std::move(dims)}; }

/// Of a file whose batch is written out: what a Reshape says of the first dimension is the batch's size there, where
/// the batch is what comes in.
void ReplaceExportedBatch(const Step& step, Dims& shape) {
  const Dims& x = step.DimsOf(0);
  if (step.exported_batch == 0 || shape.empty() || x.empty() || x[0] != step.batch || step.In(0).constant != nullptr)
    return;
  if (shape[0] == step.exported_batch) shape[0] = step.batch;
}

void InferReshape(Step& step) {
  const Dims& x = step.DimsOf(0);
  Dims shape = step.Ints(1);
  const bool keep_zeros = step.attributes.Int("allowzero", 0) != 0;
  ReplaceExportedBatch(step, shape);
  int64_t known = 1;
  size_t open = shape.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && !keep_zeros) {
      if (i >= x.size()) throw Unsupported("a shape that copies a dimension that isn't there");
      shape[i] = x[i];
    }
    if (shape[i] == -1 && open == shape.size())
      open = i;
    else
      known *= std::max<int64_t>(shape[i], 0);
  }
  const int64_t all = ElementsOf(x);
  if (open < shape.size()) shape[open] = known > 0 ? all / known : 0;
  if (ElementsOf(shape) != all)
    throw Unsupported(fmt::format("{} can't be reshaped to {}", ToString(x), ToString(shape)));
  Declare(step, std::move(shape));
}

void InferFlatten(Step& step) {
  const Dims& x = step.DimsOf(0);
  const int64_t raw = step.attributes.Int("axis", 1);
  const auto axis = raw == step.In(0).rank() ? x.end() : x.begin() + Axis(raw, step.In(0).rank());
  Declare(step, {ElementsOf(Dims(x.begin(), axis)), ElementsOf(Dims(axis, x.end()))});
}

void InferSqueeze(Step& step) {
  const Dims& x = step.DimsOf(0);
  const Dims axes = step.IntsOf("axes", 1);
  std::vector<bool> gone(x.size(), false);
  for (size_t d = 0; d < x.size(); ++d) gone[d] = axes.empty() && x[d] == 1;
  for (const int64_t axis : axes) gone[static_cast<size_t>(Axis(axis, step.In(0).rank()))] = true;
  Dims dims;
  for (size_t d = 0; d < x.size(); ++d) {
    if (!gone[d]) dims.push_back(x[d]);
    if (gone[d] && x[d] != 1) throw Unsupported(fmt::format("dimension {} of {} isn't 1", d, ToString(x)));
  }
  Declare(step, std::move(dims));
}

void InferUnsqueeze(Step& step) {
  const Dims& x = step.DimsOf(0);
  const Dims axes = step.IntsOf("axes", 1);
  const int rank = static_cast<int>(x.size() + axes.size());
  std::vector<bool> fresh(static_cast<size_t>(rank), false);
  for (const int64_t axis : axes) fresh[static_cast<size_t>(Axis(axis, rank))] = true;
  Dims dims;
  auto next = x.begin();
  for (const bool one : fresh) {
    if (!one && next == x.end()) throw Unsupported("an axis given twice");
    dims.push_back(one ? 1 : *next++);
  }
  Declare(step, std::move(dims));
}

Dims OrderOf(const Step& step) {
  Dims order(step.DimsOf(0).size());
  std::iota(order.rbegin(), order.rend(), 0);
  return step.attributes.Ints("perm", order);
}

void InferTranspose(Step& step) {
  const Dims& x = step.DimsOf(0);
  const Dims order = OrderOf(step);
  std::vector<bool> seen(x.size(), false);
  if (order.size() != x.size()) throw Unsupported("a permutation of other dimensions than there are");
  Dims dims;
  for (const int64_t d : order) {
    const size_t from = static_cast<size_t>(Axis(d, step.In(0).rank()));
    if (seen[from]) throw Unsupported("a permutation with a dimension twice");
    seen[from] = true;
    dims.push_back(x[from]);
  }
  Declare(step, std::move(dims));
}

void Transpose(const Step& step, Tensor& result) {
  const Tensor& x = step.Constant(0);
  const Dims strides = StridesOf(x.dims), order = OrderOf(step);
  ForEachIndex(result.dims, [&](const Dims& index) {
    int64_t offset = 0;
    for (size_t d = 0; d < index.size(); ++d) offset += index[d] * strides[static_cast<size_t>(order[d])];
    result.values.push_back(x.values[static_cast<size_t>(offset)]);
  });
}

void InferExpand(Step& step) { Declare(step, Broadcast(step.DimsOf(0), step.Ints(1))); }

void Expand(const Step& step, Tensor& result) {
  const Tensor& x = step.Constant(0);
  const Dims strides = StridesOf(x.dims);
  const size_t skip = result.dims.size() - x.dims.size();
  ForEachIndex(result.dims, [&](const Dims& index) {
    int64_t offset = 0;
    for (size_t d = 0; d < x.dims.size(); ++d) offset += x.dims[d] == 1 ? 0 : index[skip + d] * strides[d];
    result.values.push_back(x.values[static_cast<size_t>(offset)]);
  });
}

void InferTile(Step& step) {
  Dims dims = step.DimsOf(0);
  const Dims times = step.Ints(1);
  if (times.size() != dims.size()) throw Unsupported("repeats of other dimensions than there are");
  for (size_t d = 0; d < dims.size(); ++d) dims[d] *= Sensible(times[d]);
  Declare(step, std::move(dims));
}

void Tile(const Step& step, Tensor& result) {
  const Tensor& x = step.Constant(0);
  const Dims strides = StridesOf(x.dims);
  ForEachIndex(result.dims, [&](const Dims& index) {
    int64_t offset = 0;
    for (size_t d = 0; d < index.size(); ++d) offset += index[d] % x.dims[d] * strides[d];
    result.values.push_back(x.values[static_cast<size_t>(offset)]);
  });
}

void InferSlice(Step& step) {
  Dims dims = step.DimsOf(0);
  for (const AxisSlice& slice : SlicesOf(step)) dims[static_cast<size_t>(slice.axis)] = slice.count;
  Declare(step, std::move(dims));
}

void Slice(const Step& step, Tensor& result) {
  const Tensor& x = step.Constant(0);
  const Dims strides = StridesOf(x.dims);
  Dims begin(x.dims.size(), 0), stride(x.dims.size(), 1);
  for (const AxisSlice& slice : SlicesOf(step)) {
    begin[static_cast<size_t>(slice.axis)] = slice.begin;
    stride[static_cast<size_t>(slice.axis)] = slice.step;
  }
  ForEachIndex(result.dims, [&](const Dims& index) {
    int64_t offset = 0;
    for (size_t d = 0; d < index.size(); ++d) offset += (begin[d] + index[d] * stride[d]) * strides[d];
    result.values.push_back(x.values[static_cast<size_t>(offset)]);
  });
}

void InferSplit(Step& step) {
  const Dims& x = step.DimsOf(0);
  const SplitPieces pieces = PiecesOf(step);
  for (size_t i = 0; i < step.outputs.size(); ++i) {
    Dims dims = x;
    dims[static_cast<size_t>(pieces.axis)] = pieces.sizes.at(i);
    step.outputs[i] = Known{step.In(0).type, std::move(dims)};
  }
}

void InferSplitToSequence(Step& step) {
  const SplitPieces pieces = SequencePiecesOf(step);
  for (const int64_t size : pieces.sizes) {
    Dims dims = step.DimsOf(0);
    dims[static_cast<size_t>(pieces.axis)] = size;
    if (step.attributes.Int("keepdims", 1) == 0 && !step.Has(1)) dims.erase(dims.begin() + pieces.axis);
    step.outputs.at(0).elements.push_back(Known{step.In(0).type, std::move(dims)});
  }
}

void InferSequenceAt(Step& step) {
  const std::vector<Known>& elements = step.In(0).elements;
  const int64_t place = ToInt64(step.Scalar(1));
  const int64_t count = static_cast<int64_t>(elements.size());
  if (place < -count || place >= count) throw Unsupported(fmt::format("place {} of {}", place, count));
  step.outputs.at(0) = elements[static_cast<size_t>(place < 0 ? place + count : place)];
}

void InferConcat(Step& step) {
  Dims dims = step.DimsOf(0);
  const size_t axis = static_cast<size_t>(Axis(step.attributes.Int("axis", 0), step.In(0).rank()));
  for (size_t i = 1; i < step.inputs(); ++i) {
    const Dims& other = step.DimsOf(i);
    for (size_t d = 0; d < dims.size(); ++d)
      if (other.size() != dims.size() || (d != axis && other[d] != dims[d]))
        throw Unsupported(fmt::format("{} and {} don't fit", ToString(dims), ToString(other)));
    dims[axis] += other[axis];
  }
  Declare(step, std::move(dims));
}

void Concat(const Step& step, Tensor& result) {
  const size_t axis = static_cast<size_t>(Axis(step.attributes.Int("axis", 0), step.In(0).rank()));
  int64_t outer = 1;
  for (size_t d = 0; d < axis; ++d) outer *= result.dims[d];
  for (int64_t o = 0; o < outer; ++o)
    for (size_t i = 0; i < step.inputs(); ++i) {
      const std::vector<double>& values = step.Constant(i).values;
      const int64_t part = static_cast<int64_t>(values.size()) / std::max<int64_t>(outer, 1);
      result.values.insert(result.values.end(), values.begin() + o * part, values.begin() + (o + 1) * part);
    }
}

void InferPad(Step& step) {
  Dims dims = step.DimsOf(0);
  const auto [before, after] = PaddingOf(step);
  for (size_t d = 0; d < dims.size(); ++d) dims[d] += before[d] + after[d];
  Declare(step, std::move(dims));
}

void InferDepthToSpace(Step& step) {
  const Dims& x = step.DimsOf(0);
  const int64_t block = Sensible(step.attributes.Int("blocksize", 1));
  if (x.size() != 4 || block < 1 || x[1] % (block * block) != 0) throw Unsupported("a block that doesn't fit");
  Declare(step, {x[0], x[1] / (block * block), x[2] * block, x[3] * block});
}

void InferSpaceToDepth(Step& step) {
  const Dims& x = step.DimsOf(0);
  const int64_t block = Sensible(step.attributes.Int("blocksize", 1));
  if (x.size() != 4 || block < 1 || x[2] % block != 0 || x[3] % block != 0)
    throw Unsupported("a block that doesn't fit");
  Declare(step, {x[0], x[1] * block * block, x[2] / block, x[3] / block});
}

}  // namespace

OpRules MovementRules() {
  return {
      {"Concat", {InferConcat, Concat}},
      {"DepthToSpace", {InferDepthToSpace, nullptr}},
      {"Expand", {InferExpand, Expand}},
      {"Flatten", {InferFlatten, Copy}},
      {"Pad", {InferPad, nullptr}},
      {"Reshape", {InferReshape, Copy}},
      {"SequenceAt", {InferSequenceAt, nullptr}},
      {"Slice", {InferSlice, Slice}},
      {"SpaceToDepth", {InferSpaceToDepth, nullptr}},
      {"Split", {InferSplit, nullptr}},
      {"SplitToSequence", {InferSplitToSequence, nullptr}},
      {"Squeeze", {InferSqueeze, Copy}},
      {"Tile", {InferTile, Tile}},
      {"Transpose", {InferTranspose, Transpose}},
      {"Unsqueeze", {InferUnsqueeze, Copy}},
  };
}

}  // namespace lockstep::onnx
