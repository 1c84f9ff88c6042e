#include "data/image/picture_transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "base/error.h"
#include "data/image/decode_image.h"
#include "data/image/image_transform.h"
#include "data/image/random_crop.h"
#include "data/image/resize.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

constexpr uint32_t kDefaultSide = 224, kMostSide = 1 << 14;
constexpr double kDefaultShare = 0.875;

Pictures WithDefaults(Pictures pictures) {
  if (pictures.height() == 0) pictures.set_height(pictures.width() == 0 ? kDefaultSide : pictures.width());
  if (pictures.width() == 0) pictures.set_width(pictures.height());
  if (pictures.channels() == 0) pictures.set_channels(3);
  if (pictures.crop_share() == 0) pictures.set_crop_share(kDefaultShare);
  return pictures;
}

void Check(const Pictures& pictures) {
  const auto require = [](bool good, const char* field, std::string message) {
    if (!good) throw Error(ErrorKind::kUsage, std::move(message), field, "leave it out for the default");
  };
  require(pictures.height() <= kMostSide, "data.pictures.height", fmt::format("it is more than {}", kMostSide));
  require(pictures.width() <= kMostSide, "data.pictures.width", fmt::format("it is more than {}", kMostSide));
  require(pictures.channels() == 1 || pictures.channels() == 3, "data.pictures.channels", "it is neither 1 nor 3");
  require(pictures.crop_share() > 0 && pictures.crop_share() <= 1, "data.pictures.crop_share",
          "it is not above 0 and at most 1");
}

/// What a thread uses again for each of its pictures: allocating and clearing a megabyte takes as long as resizing it.
struct Scratch {
  Image decoded, resized;
  ResizeScratch resize;
  Sample sample;
};

/// A part of a picture, and how large it becomes: all of the wanted size but with PAD.
struct Placing {
  ImageBox box;
  int64_t height = 0, width = 0;
};

class PictureTransform final : public Transform {
 public:
  PictureTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed)
      : pictures_(WithDefaults(config.pictures())),
        height_(pictures_.height()),
        width_(pictures_.width()),
        channels_(pictures_.channels()),
        seed_(seed) {
    Check(pictures_);
    if (config.augment().has_random_resized_crop()) {
      crop_ = config.augment().random_resized_crop();
      CheckCrop(crop_);
      random_crop_ = true;
    }
    std::vector<Field> decoded{{"image", DType::kU8, Shape{height_, width_, channels_}}};
    decoded.insert(decoded.end(), fields.begin() + 2, fields.end());
    DataConfig rest = config;
    rest.mutable_augment()->clear_random_resized_crop();
    rest.clear_pictures();
    rest_ = MakeImageTransform(decoded, rest, seed);
  }

  std::span<const Field> fields() const override { return rest_->fields(); }

  void Apply(const Sample& sample, uint64_t epoch, uint64_t id, bool augment, int64_t length,
             std::span<std::byte* const> rows) const override {
    thread_local Scratch scratch;
    const std::span<const char> name = sample.tensors[1].As<char>();
    const Origin origin{std::string(name.begin(), name.end()), "data.train"};
    const Image& picture = Decode(sample.tensors[0].bytes, origin, {seed_, epoch, kCropKey, id}, augment, scratch);
    Sample& decoded = scratch.sample;
    decoded.tensors.resize(sample.tensors.size() - 1);
    decoded.tensors[0].shape = rest_->fields()[0].shape;
    decoded.tensors[0].bytes.resize(picture.pixels.size());
    std::memcpy(decoded.tensors[0].bytes.data(), picture.pixels.data(), picture.pixels.size());
    std::copy(sample.tensors.begin() + 2, sample.tensors.end(), decoded.tensors.begin() + 1);
    rest_->Apply(decoded, epoch, id, augment, length, rows);
  }

 private:
  /// The picture as the wanted number of pixels; it lies in `scratch`.
  const Image& Decode(std::span<const std::byte> bytes, const Origin& origin, const RandomStream& stream, bool augment,
                      Scratch& scratch) const {
    const ImageHeader header = ReadImageHeader(bytes, origin);
    const Placing placing = Place(header, stream, augment);
    Resizing resizing{header.height, header.width, placing.box, placing.height, placing.width};
    DecodeOptions options{.channels = static_cast<int>(channels_)};
    if (header.reducible) Reduce(resizing, options);
    options.region = resizing.Needed();
    DecodeImage(bytes, options, origin, scratch.decoded);
    Resize(scratch.decoded, resizing, scratch.resize, scratch.resized);
    if (placing.height == height_ && placing.width == width_) return scratch.resized;
    Pad(scratch.resized, scratch.decoded);
    return scratch.decoded;
  }

  Placing Place(const ImageHeader& header, const RandomStream& stream, bool augment) const {
    const int64_t height = header.height, width = header.width;
    if (augment && random_crop_) return {DrawCrop(crop_, stream, height, width), height_, width_};
    const ImageBox all{0, 0, static_cast<double>(height), static_cast<double>(width)};
    if ((height == height_ && width == width_) || pictures_.fit() == Pictures::Fit::STRETCH)
      return {all, height_, width_};
    if (pictures_.fit() == Pictures::Fit::CROP)
      return {MiddleOf(height, width, height_, width_, pictures_.crop_share()), height_, width_};
    const double scale = std::min(static_cast<double>(height_) / all.bottom, static_cast<double>(width_) / all.right);
    const auto scaled = [&](double side, int64_t most) {
      return std::clamp<int64_t>(std::llround(side * scale), 1, most);
    };
    return {all, scaled(all.bottom, height_), scaled(all.right, width_)};
  }

  /// Chooses the smallest fraction at which the part still has as many pixels as are wanted.
  static void Reduce(Resizing& resizing, DecodeOptions& options) {
    constexpr int kSmallest = 8;
    const auto height = static_cast<double>(resizing.height), width = static_cast<double>(resizing.width);
    while (options.reduction < kSmallest && resizing.box.height() >= 2 * options.reduction * height &&
           resizing.box.width() >= 2 * options.reduction * width)
      options.reduction *= 2;
    if (options.reduction == 1) return;
    const int64_t by = options.reduction;
    resizing.picture_height = (resizing.picture_height + by - 1) / by;
    resizing.picture_width = (resizing.picture_width + by - 1) / by;
    const auto divisor = static_cast<double>(by);
    ImageBox& box = resizing.box;
    box = {box.top / divisor, box.left / divisor, box.bottom / divisor, box.right / divisor};
  }

  /// Puts `picture` in the middle of black.
  void Pad(const Image& picture, Image& padded) const {
    padded.Resize(height_, width_, channels_);
    std::fill(padded.pixels.begin(), padded.pixels.end(), uint8_t{0});
    const int64_t top = (height_ - picture.height) / 2, left = (width_ - picture.width) / 2;
    for (int64_t y = 0; y < picture.height; ++y)
      std::copy_n(picture.row(y), picture.row_bytes(), padded.row(top + y) + left * channels_);
  }

  const Pictures pictures_;
  const int64_t height_, width_, channels_;
  const uint64_t seed_;
  bool random_crop_ = false;
  RandomResizedCrop crop_;
  std::unique_ptr<Transform> rest_;
};

}  // namespace

std::unique_ptr<Transform> MakePictureTransform(std::span<const Field> fields, const DataConfig& config,
                                                uint64_t seed) {
  CHECK(fields.size() >= 2 && fields[0].name == "encoded" && fields[1].name == "name");
  return std::make_unique<PictureTransform>(fields, config, seed);
}

}  // namespace lockstep::data
