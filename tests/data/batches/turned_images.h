// A data set of small pictures, and an augmentation that turns them, for tests of batches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "base/philox.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// How many pictures a test has that asks for no other number.
inline constexpr uint64_t kSize = 37;

/// Pictures of random bytes, of five classes.
class Images final : public Dataset {
 public:
  explicit Images(uint64_t size) : size_(size) {}
  uint64_t size() const override { return size_; }
  std::span<const Field> fields() const override { return fields_; }
  const SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override { return 0; }
  void Read(uint64_t, uint64_t id, Sample& sample) const override {
    sample.tensors.resize(fields_.size());
    for (size_t i = 0; i < fields_.size(); ++i) {
      sample.tensors[i].shape = fields_[i].shape;
      sample.tensors[i].bytes.resize(static_cast<size_t>(fields_[i].shape.size() * SizeOf(fields_[i].dtype)));
    }
    for (size_t i = 0; i < sample.tensors[0].bytes.size(); ++i)
      sample.tensors[0].bytes[i] = static_cast<std::byte>(Mix64(id * 1000 + i));
    sample.tensors[1].As<int32_t>()[0] = static_cast<int32_t>(id % 5);
  }

 private:
  const uint64_t size_;
  const SourceTraits traits_{.classes = 5};
  const std::array<Field, 2> fields_{
      {Field{"image", DType::kU8, Shape{6, 5, 1}}, Field{"label", DType::kI32, Shape{}, -1}}};
};

/// Bytes become floats; augmentation turns them by a number of places that epoch and sample decide.
class Turning final : public Transform {
 public:
  std::span<const Field> fields() const override { return fields_; }
  void Apply(const Sample& sample, uint64_t epoch, uint64_t id, bool augment, int64_t,
             std::span<std::byte* const> rows) const override {
    const std::span<const uint8_t> bytes = sample.tensors[0].As<uint8_t>();
    const size_t turn = augment ? Mix64(epoch * 1000 + id) % bytes.size() : 0;
    float* image = reinterpret_cast<float*>(rows[0]);
    for (size_t i = 0; i < bytes.size(); ++i) image[i] = static_cast<float>(bytes[(i + turn) % bytes.size()]) / 255;
    std::memcpy(rows[1], sample.tensors[1].bytes.data(), sizeof(int32_t));
  }

 private:
  const std::array<Field, 2> fields_{
      {Field{"image", DType::kF32, Shape{6, 5, 1}}, Field{"label", DType::kI32, Shape{}, -1}}};
};

inline std::shared_ptr<const Dataset> MakeImages(uint64_t size = kSize) { return std::make_shared<Images>(size); }
inline std::shared_ptr<const Transform> MakeAugmenting() { return std::make_shared<Turning>(); }

}  // namespace lockstep::data
