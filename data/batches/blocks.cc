#include "data/batches/blocks.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "data/batches/length_classes.h"

namespace lockstep::data {
namespace {

std::vector<int64_t> SequenceLengths(const Dataset& dataset, const Transform& transform) {
  std::vector<int64_t> lengths;
  SampleSize size;
  for (uint64_t id = 0; id < dataset.size(); ++id) {
    dataset.Measure(0, id, size);
    lengths.push_back(transform.SequenceLength(size.lengths, 0, id, /*augment=*/false));
  }
  return lengths;
}

}  // namespace

Blocks::Blocks(const Dataset& dataset, const Transform& transform, std::vector<BatchShape> shapes)
    : shapes_(std::move(shapes)) {
  const uint64_t size = dataset.size();
  if (!dataset.ragged()) {
    const auto rows = static_cast<uint64_t>(shapes_.front().rows);
    for (uint64_t begin = 0; begin < size; begin += rows) blocks_.push_back({begin, std::min(begin + rows, size), 0});
    return;
  }
  const std::vector<int64_t> lengths = SequenceLengths(dataset, transform);
  order_.resize(size);
  std::iota(order_.begin(), order_.end(), uint64_t{0});
  std::stable_sort(order_.begin(), order_.end(), [&](uint64_t a, uint64_t b) { return lengths[a] < lengths[b]; });
  for (uint64_t at = 0; at < size; ++at) {
    const int shape = ShapeFor(shapes_, lengths[order_[at]]);
    const bool full =
        !blocks_.empty() && static_cast<int64_t>(at - blocks_.back().begin) >= shapes_[static_cast<size_t>(shape)].rows;
    if (blocks_.empty() || full) blocks_.push_back({at, at, shape});
    blocks_.back().end = at + 1;
    blocks_.back().shape = shape;
  }
}

void Blocks::Read(int64_t block, LaneSamples& samples) const {
  CHECK(block >= 0 && block < count(), "block {} of {}", block, count());
  const Block& of = blocks_[static_cast<size_t>(block)];
  samples.first_position = of.begin;
  samples.shape = of.shape;
  samples.picks.clear();
  for (uint64_t at = of.begin; at < of.end; ++at) samples.picks.push_back({0, order_.empty() ? at : order_[at]});
}

std::vector<BatchShape> EvaluationShapes(std::span<const Dataset* const> splits, const Transform& transform,
                                         int64_t rows) {
  CHECK(!splits.empty());
  uint64_t largest = 1;
  for (const Dataset* split : splits) largest = std::max(largest, split->size());
  rows = std::clamp<int64_t>(rows, 1, static_cast<int64_t>(largest));
  if (!splits.front()->ragged()) return {{rows, 0}};
  int64_t least = std::numeric_limits<int64_t>::max(), most = 0;
  for (const Dataset* split : splits)
    for (int64_t length : SequenceLengths(*split, transform)) {
      least = std::min(least, length);
      most = std::max(most, length);
    }
  constexpr int64_t kTokens = 4096;  // of a block: what is alive in an evaluation then stays small beside training's
  std::vector<BatchShape> shapes;
  for (int64_t length_class : LengthClassesBetween(least, most))
    shapes.push_back({std::clamp<int64_t>(kTokens / length_class, 1, rows), length_class});
  return shapes;
}

}  // namespace lockstep::data
