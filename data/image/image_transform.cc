#include "data/image/image_transform.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "data/image/augment.h"
#include "data/image/color.h"
#include "data/image/image.h"
#include "data/image/rand_augment.h"
#include "data/image/random_crop.h"
#include "data/image/resize.h"
#include "data/random_keys.h"
#include "data/rows/passed_field.h"

namespace lockstep::data {
namespace {

Error BadConfig(const char* field, std::string message, std::string hint = "") {
  return Error(ErrorKind::kUsage, std::move(message), field, std::move(hint));
}

/// One value for each channel, from none (`otherwise`), one for all, or all.
std::vector<float> PerChannel(const google::protobuf::RepeatedField<double>& values, size_t channels, float otherwise,
                              const char* field) {
  if (values.empty()) return std::vector<float>(channels, otherwise);
  if (values.size() != 1 && static_cast<size_t>(values.size()) != channels) {
    throw BadConfig(field, fmt::format("{} values for {} channels", values.size(), channels),
                    "give one for all, or one for each");
  }
  std::vector<float> result;
  for (size_t i = 0; i < channels; ++i)
    result.push_back(static_cast<float>(values[values.size() == 1 ? 0 : static_cast<int>(i)]));
  if (!std::all_of(result.begin(), result.end(), [](float value) { return std::isfinite(value); })) {
    throw BadConfig(field, "the values must be finite numbers");
  }
  return result;
}

}  // namespace

Normalizer MakeNormalizer(const Normalize& config, DType dtype, size_t channels) {
  Normalizer normalizer;
  normalizer.scale = dtype == DType::kU8 ? static_cast<float>(1.0 / 255) : 1.0f;
  if (config.scale() != 0) normalizer.scale = static_cast<float>(config.scale());
  if (!std::isfinite(normalizer.scale)) throw BadConfig("data.normalize.scale", "the scale must be a finite number");
  normalizer.mean = PerChannel(config.mean(), channels, 0, "data.normalize.mean");
  normalizer.deviation = PerChannel(config.deviation(), channels, 1, "data.normalize.deviation");
  if (!std::all_of(normalizer.deviation.begin(), normalizer.deviation.end(), [](float value) { return value > 0; })) {
    throw BadConfig("data.normalize.deviation", "deviations must be above 0");
  }
  return normalizer;
}

namespace {

/// Of no targets where there are none.
Normalizer MakeTargetNormalizer(const Normalize& config, std::span<const Field> fields) {
  const auto target =
      std::find_if(fields.begin(), fields.end(), [](const Field& field) { return field.name == "target"; });
  Normalizer normalizer;
  if (target == fields.end()) {
    if (config.target_mean_size() + config.target_deviation_size() > 0)
      throw BadConfig("data.normalize.target_mean", "the samples have no targets", "remove it, and target_deviation");
    return normalizer;
  }
  const auto targets = static_cast<size_t>(target->shape.size());
  normalizer.mean = PerChannel(config.target_mean(), targets, 0, "data.normalize.target_mean");
  normalizer.deviation = PerChannel(config.target_deviation(), targets, 1, "data.normalize.target_deviation");
  if (!std::all_of(normalizer.deviation.begin(), normalizer.deviation.end(), [](float value) { return value > 0; }))
    throw BadConfig("data.normalize.target_deviation", "deviations must be above 0");
  return normalizer;
}

void RefuseSpeech(const Augment& augment) {
  if (!augment.has_speed() && !augment.has_mask_bands() && !augment.has_mask_frames() && augment.noise() == 0) return;
  throw BadConfig("data.augment", "speed, masks and noise are for recordings of speech", "remove them");
}

/// Whether bytes are changed before they are normalised.
bool ChangesBytes(const Augment& augment) {
  return augment.has_random_resized_crop() || augment.has_color_jitter() || augment.has_rand_augment();
}

void CheckChanges(const Augment& augment, const Field& input) {
  if (!ChangesBytes(augment)) return;
  const char* const field = augment.has_random_resized_crop() ? "data.augment.random_resized_crop"
                            : augment.has_color_jitter()      ? "data.augment.color_jitter"
                                                              : "data.augment.rand_augment";
  if (input.name != "image" || input.dtype != DType::kU8 || (input.shape[2] != 1 && input.shape[2] != 3)) {
    throw BadConfig(field,
                    fmt::format("it is for pictures of bytes with 1 or 3 channels; these samples are {} {} {}",
                                input.name, Name(input.dtype), input.shape.ToString()),
                    "remove it");
  }
  CheckCrop(augment.random_resized_crop());
  CheckColorJitter(augment.color_jitter());
  CheckRandAugment(augment.rand_augment());
}

void CheckAugment(const Augment& augment, const Field& input) {
  RefuseSpeech(augment);
  CheckChanges(augment, input);
  if (augment.shift() == 0 && !augment.flip()) return;
  if (input.name != "image") {
    throw BadConfig("data.augment",
                    fmt::format("only images can be shifted and mirrored; these samples are {}", input.name),
                    "remove it, or give the samples an image shape");
  }
  const int64_t least = std::min(input.shape[0], input.shape[1]);
  if (augment.shift() >= least) {
    throw BadConfig(
        "data.augment.shift",
        fmt::format("{} pixels would shift {} pictures out of sight", augment.shift(), input.shape.ToString()),
        fmt::format("0 to {}", least - 1));
  }
}

/// What a thread uses again for each of its pictures.
struct Scratch {
  Image picture, resized;
  ResizeScratch resize;
};

class ImageTransform final : public Transform {
 public:
  ImageTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed)
      : sample_fields_(fields.begin(), fields.end()), seed_(seed) {
    for (const Field& field : fields) fields_.push_back(PassedField(field));
    CHECK(!fields.empty() && (fields[0].name == "image" || fields[0].name == "features"),
          "the first field is the input");
    CHECK(fields[0].dtype == DType::kU8 || fields[0].dtype == DType::kF32);
    CheckAugment(config.augment(), fields[0]);
    augment_ = config.augment();
    shift_ = static_cast<int>(augment_.shift());
    flip_ = augment_.flip();

    const Shape& shape = fields[0].shape;
    // Features are an image of one pixel, with a channel for each.
    image_ = fields[0].name == "image" ? shape : Shape{1, 1, shape.size()};
    normalizer_ = MakeNormalizer(config.normalize(), fields[0].dtype, static_cast<size_t>(image_[2]));
    bytes_ = fields[0].dtype == DType::kU8;
    if (bytes_) table_ = ByteTable(normalizer_);
    fields_[0].dtype = DType::kF32;
    targets_ = MakeTargetNormalizer(config.normalize(), fields_);
  }

  std::span<const Field> fields() const override { return fields_; }

  void Apply(const Sample& sample, uint64_t epoch, uint64_t id, bool augment, int64_t /*length*/,
             std::span<std::byte* const> rows) const override {
    CHECK(sample.tensors.size() == sample_fields_.size() && rows.size() == fields_.size());
    Placement placement;
    if (augment && (shift_ > 0 || flip_)) placement = DrawPlacement({seed_, epoch, kAugmentKey, id}, shift_, flip_);
    const Sample::Tensor& input = sample.tensors[0];
    if (bytes_) {
      std::span<const uint8_t> bytes = input.As<uint8_t>();
      if (augment && ChangesBytes(augment_)) bytes = Change(bytes, epoch, id);
      PlaceImage(bytes, placement, rows);
    } else {
      PlaceFloats(input.As<float>(), image_, normalizer_, placement, reinterpret_cast<float*>(rows[0]));
    }
    for (size_t i = 1; i < sample_fields_.size(); ++i) {
      if (fields_[i].name == "target") {
        PlaceTargets(sample.tensors[i].As<float>(), reinterpret_cast<float*>(rows[i]));
      } else {
        PassValues(sample.tensors[i], sample_fields_[i], rows[i]);
      }
    }
  }

  /// Features have no place that could be outside.
  std::unique_ptr<Transform> AsBytes() const override {
    if (!bytes_ || fields_[0].name != "image") return nullptr;
    auto plain = std::make_unique<ImageTransform>(*this);
    plain->plain_ = true;
    plain->fields_[0].dtype = DType::kU8;
    plain->fields_.push_back({kFilledField, DType::kI32, Shape{4}});
    return plain;
  }
  const Normalizer* normalizer() const override { return plain_ ? &normalizer_ : nullptr; }

 private:
  void PlaceImage(std::span<const uint8_t> bytes, const Placement& placement, std::span<std::byte* const> rows) const {
    if (!plain_) return PlaceBytes(bytes, image_, table_, placement, reinterpret_cast<float*>(rows[0]));
    PlacePlainBytes(bytes, image_, placement, reinterpret_cast<uint8_t*>(rows[0]));
    const Inside inside = InsideOf(image_, placement);
    const std::array<int32_t, 4> edges = {inside.top, inside.left, inside.bottom, inside.right};
    std::memcpy(rows.back(), edges.data(), sizeof(edges));
  }

  void PlaceTargets(std::span<const float> values, float* output) const {
    for (size_t i = 0; i < values.size(); ++i) output[i] = (values[i] - targets_.mean[i]) / targets_.deviation[i];
  }

  /// A picture of the same size, in the thread's scratch.
  std::span<const uint8_t> Change(std::span<const uint8_t> bytes, uint64_t epoch, uint64_t id) const {
    thread_local Scratch scratch;
    Image& picture = scratch.picture;
    picture.Resize(image_[0], image_[1], image_[2]);
    std::copy(bytes.begin(), bytes.end(), picture.pixels.begin());
    if (augment_.has_random_resized_crop()) {
      const ImageBox box = DrawCrop(augment_.random_resized_crop(), {seed_, epoch, kCropKey, id}, image_[0], image_[1]);
      ResizeBox(picture, box, image_[0], image_[1], scratch.resize, scratch.resized);
      std::swap(picture, scratch.resized);
    }
    if (augment_.has_rand_augment())
      AugmentAtRandom(augment_.rand_augment(), {seed_, epoch, kRandAugmentKey, id}, picture);
    if (augment_.has_color_jitter()) JitterColors(augment_.color_jitter(), {seed_, epoch, kColorKey, id}, picture);
    return picture.pixels;
  }

  std::vector<Field> fields_;
  std::vector<Field> sample_fields_;  ///< the first of them, as samples have them
  uint64_t seed_;
  Normalizer targets_;
  Augment augment_;
  Shape image_;
  Normalizer normalizer_;
  bool bytes_ = false;  ///< of samples
  bool plain_ = false;  ///< they stay bytes
  std::vector<float> table_;
  int shift_ = 0;
  bool flip_ = false;
};

}  // namespace

std::unique_ptr<Transform> MakeImageTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed) {
  return std::make_unique<ImageTransform>(fields, config, seed);
}

}  // namespace lockstep::data
