#include "data/batches/lane_buffers.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace lockstep::data {

LaneBuffers::LaneBuffers(const Transform& transform, std::span<const BatchShape> shapes, LaneBatch& batch)
    : shapes_(shapes.begin(), shapes.end()), fields_(transform.fields().begin(), transform.fields().end()) {
  fields_.push_back({"mask", DType::kF32, Shape{}});
  for (const Field& field : fields_) {
    int64_t most = 0;
    for (const BatchShape& shape : shapes_)
      most = std::max(most, field.shape.Filled(shape.length).Batched(shape.rows).size());
    buffers_.emplace_back(static_cast<size_t>(most * SizeOf(field.dtype)));
    batch.data.push_back(buffers_.back().data());
  }
  batch.fields = fields_;
  for (const BatchShape& shape : shapes_) batch.samples.picks.reserve(static_cast<size_t>(shape.rows));
}

void LaneBuffers::Arrange(LaneBatch& batch) {
  const BatchShape& shape = shapes_[static_cast<size_t>(batch.samples.shape)];
  CHECK(batch.rows() <= shape.rows, "{} samples in {} rows", batch.rows(), shape.rows);
  for (size_t i = 0; i < fields_.size(); ++i) {
    batch.fields[i].shape = fields_[i].shape.Filled(shape.length).Batched(shape.rows);
    const int64_t row = batch.fields[i].shape.size() / shape.rows * SizeOf(fields_[i].dtype);
    // All bits set is -1.
    std::memset(batch.data[i] + row * batch.rows(), fields_[i].padding == 0 ? 0 : 0xff,
                static_cast<size_t>(row * (shape.rows - batch.rows())));
  }
  std::fill_n(reinterpret_cast<float*>(batch.data.back()), batch.rows(), 1.0f);
}

void PointAtRow(const LaneBatch& batch, int64_t row, std::vector<std::byte*>& pointers) {
  pointers.resize(batch.fields.size() - 1);
  for (size_t i = 0; i < pointers.size(); ++i) {
    const Field& field = batch.fields[i];
    pointers[i] = batch.data[i] + row * (field.shape.size() / field.shape[0]) * SizeOf(field.dtype);
  }
}

}  // namespace lockstep::data
