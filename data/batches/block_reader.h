// Reads the blocks of an evaluation (blocks.h).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/batches/blocks.h"
#include "data/batches/lane_buffers.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// The evaluation side: blocks of a split, padded (zeros, label -1, mask 0). Synchronous, single-threaded.
/// `rounded` as LaneBuffers has it.
class BlockReader {
 public:
  BlockReader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
              std::shared_ptr<const Blocks> blocks, std::span<const std::string> rounded = {});
  ~BlockReader();
  /// Valid until the next call.
  const LaneBatch& Read(int64_t block);

 private:
  std::shared_ptr<const Dataset> dataset_;
  std::shared_ptr<const Transform> transform_;
  std::shared_ptr<const Blocks> blocks_;
  std::unique_ptr<LaneBuffers> buffers_;
  LaneBatch batch_;
  Sample sample_;
  std::vector<std::byte*> pointers_;
};

}  // namespace lockstep::data
