// Which samples of a split an evaluation reads together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/batches/batches.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// How an evaluation cuts a split into blocks, in a fixed order: that of ids, of ragged samples by length.
class Blocks {
 public:
  /// `shapes`: EvaluationShapes of this split among others.
  Blocks(const Dataset& dataset, const Transform& transform, std::vector<BatchShape> shapes);

  int64_t count() const { return static_cast<int64_t>(blocks_.size()); }
  /// Block `block`: picks of epoch 0.
  void Read(int64_t block, LaneSamples& samples) const;
  std::span<const BatchShape> shapes() const { return shapes_; }

 private:
  struct Block {
    uint64_t begin = 0, end = 0;  ///< in order_; of ids where that is empty
    int shape = 0;
  };
  std::vector<BatchShape> shapes_;
  std::vector<uint64_t> order_;
  std::vector<Block> blocks_;
};

/// The shapes of blocks of all of `splits`: `rows` samples, of ragged ones fewer where they are long.
std::vector<BatchShape> EvaluationShapes(std::span<const Dataset* const> splits, const Transform& transform,
                                         int64_t rows);

}  // namespace lockstep::data
