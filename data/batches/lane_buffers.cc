#include "data/batches/lane_buffers.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bfloat16.h"
#include "base/error.h"
#include "base/isa_clones.h"

namespace lockstep::data {
namespace {

LOCKSTEP_ISA_CLONES void RoundAll(const float* __restrict from, BFloat16* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = BFloat16::From(from[i]);
}

/// `count` floats become as many bf16, from `data` on: what is written lies before what is still to be read.
void RoundInPlace(std::byte* data, int64_t count) {
  constexpr int64_t kPiece = 2048;
  std::array<BFloat16, kPiece> piece;
  for (int64_t begin = 0; begin < count; begin += kPiece) {
    const int64_t size = std::min(kPiece, count - begin);
    RoundAll(reinterpret_cast<const float*>(data) + begin, piece.data(), size);
    std::memcpy(data + begin * static_cast<int64_t>(sizeof(BFloat16)), piece.data(),
                static_cast<size_t>(size) * sizeof(BFloat16));
  }
}

}  // namespace

LaneBuffers::LaneBuffers(const Transform& transform, std::span<const BatchShape> shapes,
                         std::span<const std::string> rounded, LaneBatch& batch)
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
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (std::ranges::find(rounded, fields_[i].name) == rounded.end()) continue;
    CHECK(fields_[i].dtype == DType::kF32, "{} is {}", fields_[i].name, Name(fields_[i].dtype));
    rounded_.push_back(i);
  }
  for (const BatchShape& shape : shapes_) batch.samples.picks.reserve(static_cast<size_t>(shape.rows));
}

void LaneBuffers::Arrange(LaneBatch& batch) {
  const BatchShape& shape = shapes_[static_cast<size_t>(batch.samples.shape)];
  CHECK(batch.rows() <= shape.rows, "{} samples in {} rows", batch.rows(), shape.rows);
  for (size_t i = 0; i < fields_.size(); ++i) {
    batch.fields[i].dtype = fields_[i].dtype;
    batch.fields[i].shape = fields_[i].shape.Filled(shape.length).Batched(shape.rows);
    const int64_t row = batch.fields[i].shape.size() / shape.rows * SizeOf(fields_[i].dtype);
    // All bits set is -1.
    std::memset(batch.data[i] + row * batch.rows(), fields_[i].padding == 0 ? 0 : 0xff,
                static_cast<size_t>(row * (shape.rows - batch.rows())));
  }
  std::fill_n(reinterpret_cast<float*>(batch.data.back()), batch.rows(), 1.0f);
}

void LaneBuffers::Round(LaneBatch& batch) const {
  for (const size_t i : rounded_) {
    RoundInPlace(batch.data[i], batch.fields[i].shape.size());
    batch.fields[i].dtype = DType::kBF16;
  }
}

void PointAtRow(const LaneBatch& batch, int64_t row, std::vector<std::byte*>& pointers) {
  pointers.resize(batch.fields.size() - 1);
  for (size_t i = 0; i < pointers.size(); ++i) {
    const Field& field = batch.fields[i];
    pointers[i] = batch.data[i] + row * (field.shape.size() / field.shape[0]) * SizeOf(field.dtype);
  }
}

}  // namespace lockstep::data
