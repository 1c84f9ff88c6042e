#include "data/rows/row_mixing.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/philox.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

constexpr double kMostAlpha = 2;

double Alpha(bool asked, double alpha, const char* field) {
  if (!asked) return 0;
  if (alpha == 0) return 1;
  if (alpha > 0 && alpha <= kMostAlpha) return alpha;
  throw Error(ErrorKind::kUsage, fmt::format("{} is not above 0 and at most {}", alpha, kMostAlpha), field,
              "leave it out for 1");
}

/// In (0, 1).
double OpenUniform(uint32_t bits) { return (bits + 0.5) * 0x1p-32; }

/// From Beta(alpha, alpha), as Jöhnk (1964) draws it: of pairs, the first that lies in a triangle.
double DrawBeta(double alpha, const RandomStream& stream) {
  constexpr uint32_t kAttempts = 64;  // of 10^5 draws, at alpha 2 one finds none
  for (uint32_t i = 0; i < kAttempts; ++i) {
    const Philox4 bits = stream.Group(1 + i);
    const double x = std::pow(OpenUniform(bits.x[0]), 1 / alpha), y = std::pow(OpenUniform(bits.x[1]), 1 / alpha);
    if (x + y <= 1 && x + y > 0) return x / (x + y);
  }
  return 0.5;
}

/// The part of a picture that another one fills, about 1 - share of it, around a pixel drawn at random and cut off at
/// the borders.
PixelBox DrawBox(double share, const Philox4& bits, int64_t height, int64_t width) {
  const double side = std::sqrt(1 - share);
  const auto range = [side](uint32_t random, int64_t size) {
    const auto half = static_cast<int64_t>(side * static_cast<double>(size)) / 2;
    const auto center = static_cast<int64_t>(uint64_t{random} * static_cast<uint64_t>(size) >> 32);
    return std::pair{std::max<int64_t>(0, center - half), std::min(size, center + half)};
  };
  const auto [top, bottom] = range(bits.x[1], height);
  const auto [left, right] = range(bits.x[2], width);
  return {top, left, bottom, right};
}

}  // namespace

RowMixing::RowMixing(const Augment& augment, const Field& input, uint64_t seed)
    : image_(input.shape),
      seed_(seed),
      mixup_(Alpha(augment.has_mixup(), augment.mixup().alpha(), "data.augment.mixup.alpha")),
      cutmix_(Alpha(augment.has_cutmix(), augment.cutmix().alpha(), "data.augment.cutmix.alpha")) {
  if (!active()) return;
  const bool image = input.name == "image" && input.shape.rank() == 3;
  if (!image && cutmix_ > 0)
    throw Error(ErrorKind::kUsage, fmt::format("it is for images; these samples are {}", input.name),
                "data.augment.cutmix", "use mixup");
  if (!image && (input.name != "features" || input.shape.rank() != 1))
    throw Error(ErrorKind::kUsage,
                fmt::format("it is for images and for features of tables; these samples are {}", input.name),
                "data.augment.mixup", "remove it");
}

RowMix RowMixing::Draw(uint64_t epoch, uint64_t id) const {
  const RandomStream stream{seed_, epoch, kMixKey, id};
  const Philox4 bits = stream.Group(0);
  RowMix mix;
  mix.cut = cutmix_ > 0 && (mixup_ == 0 || bits.x[0] >> 31 != 0);
  const double share = DrawBeta(mix.cut ? cutmix_ : mixup_, stream);
  mix.share = static_cast<float>(share);
  if (!mix.cut) return mix;
  mix.box = DrawBox(share, bits, image_[0], image_[1]);
  const int64_t filled = (mix.box.bottom - mix.box.top) * (mix.box.right - mix.box.left);
  mix.share = static_cast<float>(1 - static_cast<double>(filled) / static_cast<double>(image_[0] * image_[1]));
  return mix;
}

void RowMixing::MixInput(const RowMix& mix, std::span<const float> other, std::span<float> to) const {
  if (!mix.cut) return Blend(mix.share, other, to);
  const int64_t row = image_[1] * image_[2];
  for (int64_t y = mix.box.top; y < mix.box.bottom; ++y) {
    const int64_t begin = y * row + mix.box.left * image_[2];
    std::copy_n(other.data() + begin, (mix.box.right - mix.box.left) * image_[2], to.data() + begin);
  }
}

void Blend(float share, std::span<const float> other, std::span<float> to) {
  for (size_t i = 0; i < to.size(); ++i) to[i] = share * to[i] + (1 - share) * other[i];
}

}  // namespace lockstep::data
