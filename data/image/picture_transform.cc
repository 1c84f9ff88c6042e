#include "data/image/picture_transform.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/image/decode_image.h"
#include "data/image/fit_picture.h"
#include "data/image/image_transform.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

struct Scratch {
  FitScratch fit;
  Image padded;
  Sample sample;
};

const RandomResizedCrop* CropOf(const Augment& augment) {
  return augment.has_random_resized_crop() ? &augment.random_resized_crop() : nullptr;
}

class PictureTransform final : public Transform {
 public:
  PictureTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed)
      : fit_(config.pictures(), CropOf(config.augment())), seed_(seed) {
    std::vector<Field> decoded{{"image", DType::kU8, Shape{fit_.height(), fit_.width(), fit_.channels()}}};
    decoded.insert(decoded.end(), fields.begin() + 2, fields.end());
    DataConfig rest = config;
    rest.mutable_augment()->clear_random_resized_crop();
    rest.clear_pictures();
    rest_ = MakeImageTransform(decoded, rest, seed);
  }

  std::span<const Field> fields() const override { return rest_->fields(); }
  std::unique_ptr<Transform> AsBytes() const override {
    auto plain = std::make_unique<PictureTransform>(*this);
    plain->rest_ = rest_->AsBytes();
    return plain;
  }
  const Normalizer* normalizer() const override { return rest_->normalizer(); }

  void Apply(const Sample& sample, uint64_t epoch, uint64_t id, bool augment, int64_t length,
             std::span<std::byte* const> rows) const override {
    thread_local Scratch scratch;
    const std::span<const char> name = sample.tensors[1].As<char>();
    const Origin origin{std::string(name.begin(), name.end()), "data.train"};
    const ImageHeader header = ReadImageHeader(sample.tensors[0].bytes, origin);
    const Placing placing = fit_.Place(header.height, header.width, {seed_, epoch, kCropKey, id}, augment);
    const Image& fitted = fit_.Pixels(sample.tensors[0].bytes, header, placing, origin, scratch.fit);
    const bool whole = placing.height == fit_.height() && placing.width == fit_.width();
    if (!whole) Pad(fitted, scratch.padded);
    const Image& picture = whole ? fitted : scratch.padded;
    Sample& decoded = scratch.sample;
    decoded.tensors.resize(sample.tensors.size() - 1);
    decoded.tensors[0].shape = rest_->fields()[0].shape;
    decoded.tensors[0].bytes.resize(picture.pixels.size());
    std::memcpy(decoded.tensors[0].bytes.data(), picture.pixels.data(), picture.pixels.size());
    std::copy(sample.tensors.begin() + 2, sample.tensors.end(), decoded.tensors.begin() + 1);
    rest_->Apply(decoded, epoch, id, augment, length, rows);
  }

 private:
  /// Puts `picture` in the middle of black.
  void Pad(const Image& picture, Image& padded) const {
    padded.Resize(fit_.height(), fit_.width(), fit_.channels());
    std::fill(padded.pixels.begin(), padded.pixels.end(), uint8_t{0});
    const int64_t top = (fit_.height() - picture.height) / 2, left = (fit_.width() - picture.width) / 2;
    for (int64_t y = 0; y < picture.height; ++y)
      std::copy_n(picture.row(y), picture.row_bytes(), padded.row(top + y) + left * fit_.channels());
  }

  const PictureFit fit_;
  const uint64_t seed_;
  std::shared_ptr<const Transform> rest_;
};

}  // namespace

std::unique_ptr<Transform> MakePictureTransform(std::span<const Field> fields, const DataConfig& config,
                                                uint64_t seed) {
  CHECK(fields.size() >= 2 && fields[0].name == "encoded" && fields[1].name == "name");
  return std::make_unique<PictureTransform>(fields, config, seed);
}

}  // namespace lockstep::data
