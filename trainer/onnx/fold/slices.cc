#include "trainer/onnx/fold/slices.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace lockstep::onnx {

std::vector<AxisSlice> SlicesOf(const Step& step) {
  const Dims& x = step.DimsOf(0);
  const Dims begins = step.Ints(1), ends = step.Ints(2);
  Dims axes(begins.size()), steps(begins.size(), 1);
  std::iota(axes.begin(), axes.end(), 0);
  if (step.Has(3)) axes = step.Ints(3);
  if (step.Has(4)) steps = step.Ints(4);
  if (ends.size() != begins.size() || axes.size() != begins.size() || steps.size() != begins.size())
    throw Unsupported("starts, ends, axes and steps of different lengths");
  std::vector<AxisSlice> slices;
  for (size_t i = 0; i < begins.size(); ++i) {
    AxisSlice slice{.axis = Axis(axes[i], step.In(0).rank()), .step = steps[i]};
    const int64_t size = x[static_cast<size_t>(slice.axis)];
    if (slice.step == 0) throw Unsupported("a step of 0");
    const bool backwards = slice.step < 0;
    // The standard clamps to places that are there; backwards, "before the first" is -1.
    const auto clamp = [&](int64_t place) {
      if (place < 0) place += size;
      return std::clamp<int64_t>(place, backwards ? -1 : 0, backwards ? size - 1 : size);
    };
    slice.begin = clamp(begins[i]);
    const int64_t distance = backwards ? slice.begin - clamp(ends[i]) : clamp(ends[i]) - slice.begin;
    const int64_t stride = backwards ? -std::max(slice.step, -size - 1) : std::min(slice.step, size + 1);
    slice.count = distance <= 0 ? 0 : (distance + stride - 1) / stride;
    slices.push_back(slice);
  }
  return slices;
}

SplitPieces PiecesOf(const Step& step) {
  SplitPieces pieces{Axis(step.attributes.Int("axis", 0), step.In(0).rank()), step.IntsOf("split", 1)};
  const int64_t size = step.DimsOf(0)[static_cast<size_t>(pieces.axis)];
  const int64_t count = static_cast<int64_t>(step.outputs.size());
  if (pieces.sizes.empty()) {
    const int64_t each = (size + count - 1) / count;
    for (int64_t i = 0; i < count; ++i) pieces.sizes.push_back(std::clamp<int64_t>(size - i * each, 0, each));
  }
  if (static_cast<int64_t>(pieces.sizes.size()) != count ||
      std::accumulate(pieces.sizes.begin(), pieces.sizes.end(), int64_t{0}) != size)
    throw Unsupported(fmt::format("pieces {} of {}", ToString(pieces.sizes), size));
  return pieces;
}

SplitPieces SequencePiecesOf(const Step& step) {
  SplitPieces pieces{Axis(step.attributes.Int("axis", 0), step.In(0).rank()), {}};
  const int64_t size = step.DimsOf(0)[static_cast<size_t>(pieces.axis)];
  if (step.Has(1) && step.In(1).rank() == 1) {
    pieces.sizes = step.Ints(1);
  } else {
    const int64_t each = step.Has(1) ? ToInt64(step.Scalar(1)) : 1;
    if (each < 1) throw Unsupported("pieces of no size");
    for (int64_t begin = 0; begin < size; begin += each) pieces.sizes.push_back(std::min(each, size - begin));
  }
  if (std::accumulate(pieces.sizes.begin(), pieces.sizes.end(), int64_t{0}) != size)
    throw Unsupported(fmt::format("pieces {} of {}", ToString(pieces.sizes), size));
  return pieces;
}

Padding PaddingOf(const Step& step) {
  const size_t rank = step.DimsOf(0).size();
  const Dims pads = step.IntsOf("pads", 1);
  Dims axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (step.Has(3)) axes = step.Ints(3);
  if (pads.size() != 2 * axes.size()) throw Unsupported("pads of other dimensions than there are");
  Padding padding{Dims(rank, 0), Dims(rank, 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = static_cast<size_t>(Axis(axes[i], static_cast<int>(rank)));
    padding.before[axis] = Sensible(pads[i]);
    padding.after[axis] = Sensible(pads[axes.size() + i]);
  }
  return padding;
}

}  // namespace lockstep::onnx
