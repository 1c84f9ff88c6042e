#include "data/image/fit_picture.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/error.h"
#include "data/image/decode_image.h"
#include "data/image/random_crop.h"

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

/// Chooses the smallest fraction at which the part still has as many pixels as are wanted.
void Reduce(Resizing& resizing, DecodeOptions& options) {
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

}  // namespace

PictureFit::PictureFit(const Pictures& pictures, const RandomResizedCrop* crop) : pictures_(WithDefaults(pictures)) {
  Check(pictures_);
  if (crop == nullptr) return;
  CheckCrop(*crop);
  crop_ = *crop;
  random_crop_ = true;
}

Placing PictureFit::Place(int64_t height, int64_t width, const RandomStream& stream, bool augment) const {
  const int64_t wanted_height = this->height(), wanted_width = this->width();
  if (augment && random_crop_) return {DrawCrop(crop_, stream, height, width), wanted_height, wanted_width};
  const ImageBox all{0, 0, static_cast<double>(height), static_cast<double>(width)};
  if ((height == wanted_height && width == wanted_width) || pictures_.fit() == Pictures::Fit::STRETCH)
    return {all, wanted_height, wanted_width};
  if (pictures_.fit() == Pictures::Fit::CROP) {
    const ImageBox middle = MiddleOf(height, width, wanted_height, wanted_width, pictures_.crop_share());
    return {middle, wanted_height, wanted_width};
  }
  const double scale =
      std::min(static_cast<double>(wanted_height) / all.bottom, static_cast<double>(wanted_width) / all.right);
  const auto scaled = [&](double side, int64_t most) {
    return std::clamp<int64_t>(std::llround(side * scale), 1, most);
  };
  return {all, scaled(all.bottom, wanted_height), scaled(all.right, wanted_width)};
}

const Image& PictureFit::Pixels(std::span<const std::byte> bytes, const ImageHeader& header, const Placing& placing,
                                const Origin& origin, FitScratch& scratch) const {
  Resizing resizing{header.height, header.width, placing.box, placing.height, placing.width};
  DecodeOptions options{.channels = static_cast<int>(channels())};
  if (header.reducible) Reduce(resizing, options);
  options.region = resizing.Needed();
  DecodeImage(bytes, options, origin, scratch.decoded);
  Resize(scratch.decoded, resizing, scratch.resize, scratch.resized);
  return scratch.resized;
}

}  // namespace lockstep::data
