#include "data/batches/block_reader.h"

namespace lockstep::data {

BlockReader::BlockReader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
                         std::shared_ptr<const Blocks> blocks, std::span<const std::string> rounded)
    : dataset_(std::move(dataset)), transform_(std::move(transform)), blocks_(std::move(blocks)) {
  buffers_ = std::make_unique<LaneBuffers>(*transform_, blocks_->shapes(), rounded, batch_);
}

BlockReader::~BlockReader() = default;

const LaneBatch& BlockReader::Read(int64_t block) {
  blocks_->Read(block, batch_.samples);
  buffers_->Arrange(batch_);
  const int64_t length = blocks_->shapes()[static_cast<size_t>(batch_.samples.shape)].length;
  for (int64_t row = 0; row < batch_.rows(); ++row) {
    const uint64_t id = batch_.samples.picks[static_cast<size_t>(row)].id;
    dataset_->Read(0, id, sample_);
    PointAtRow(batch_, row, pointers_);
    transform_->Apply(sample_, 0, id, /*augment=*/false, length, pointers_);
  }
  buffers_->Round(batch_);
  return batch_;
}

}  // namespace lockstep::data
