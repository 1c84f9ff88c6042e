#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "data/lane_buffers.h"
#include "data/loader.h"

namespace lockstep::data {

BlockReader::BlockReader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Transform> transform,
                         int64_t rows)
    : dataset_(std::move(dataset)), transform_(std::move(transform)), rows_(rows) {
  CHECK(rows >= 1);
  buffers_ = AllocateLaneBatch(*transform_, rows, batch_);
}

int64_t BlockReader::blocks() const { return (static_cast<int64_t>(dataset_->size()) + rows_ - 1) / rows_; }

const LaneBatch& BlockReader::Read(int64_t block) {
  CHECK(block >= 0 && block < blocks(), "block {} of {}", block, blocks());
  batch_.first_position = static_cast<uint64_t>(block * rows_);
  batch_.rows = std::min(rows_, static_cast<int64_t>(dataset_->size()) - block * rows_);
  for (int64_t row = 0; row < batch_.rows; ++row) {
    const uint64_t id = batch_.first_position + static_cast<uint64_t>(row);
    dataset_->Read(0, id, sample_);
    PointAtRow(batch_, row, pointers_);
    transform_->Apply(sample_, 0, id, /*augment=*/false, pointers_);
  }
  for (size_t i = 0; i < batch_.fields.size(); ++i) {
    const size_t used = buffers_[i].size() / static_cast<size_t>(rows_) * static_cast<size_t>(batch_.rows);
    // All bits set is -1 as a label.
    std::memset(batch_.data[i] + used, batch_.fields[i].name == "label" ? 0xff : 0, buffers_[i].size() - used);
  }
  float* mask = reinterpret_cast<float*>(batch_.data.back());
  std::fill_n(mask, batch_.rows, 1.0f);
  return batch_;
}

}  // namespace lockstep::data
