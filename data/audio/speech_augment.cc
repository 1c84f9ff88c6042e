#include "data/audio/speech_augment.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/philox.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

Error BadAugment(const char* field, std::string message, std::string hint) {
  return Error(ErrorKind::kUsage, std::move(message), fmt::format("data.augment.{}", field), std::move(hint));
}

void CheckMasks(const Masks& masks, uint32_t most_width, const char* field) {
  constexpr uint32_t kMostMasks = 1000;
  if (masks.count() == 0 || masks.count() > kMostMasks || masks.width() == 0 || masks.width() > most_width) {
    throw BadAugment(field,
                     fmt::format("count: {} width: {} are not 1 to {} and 1 to {}", masks.count(), masks.width(),
                                 kMostMasks, most_width),
                     "for example { count: 2 width: 6 }");
  }
}

/// Uniform from 0 to `most`.
uint64_t UpTo(uint64_t most, uint32_t bits) { return uint64_t{bits} * (most + 1) >> 32; }

/// A run within `size` bands or frames.
struct Run {
  size_t begin, end;
};

Run DrawRun(const RandomStream& stream, uint32_t mask, uint64_t most_width, uint64_t size) {
  const uint64_t width = UpTo(std::min(most_width, size), stream.Bits(2 * mask));
  const uint64_t begin = UpTo(size - width, stream.Bits(2 * mask + 1));
  return {begin, begin + width};
}

}  // namespace

void CheckSpeechAugment(const Augment& config, int mels) {
  if (config.shift() != 0 || config.flip()) {
    throw BadAugment(config.flip() ? "flip" : "shift",
                     "only images can be shifted and mirrored; these samples are speech", "remove it");
  }
  constexpr double kSlowest = 0.1, kFastest = 10;
  const Speed& speed = config.speed();
  if (config.has_speed() && !(speed.min() >= kSlowest && speed.min() <= speed.max() && speed.max() <= kFastest)) {
    throw BadAugment(
        "speed", fmt::format("{} to {} is no range between {} and {}", speed.min(), speed.max(), kSlowest, kFastest),
        "for example { min: 0.9 max: 1.1 }");
  }
  constexpr uint32_t kMostFrames = 100000;
  if (config.has_mask_bands()) CheckMasks(config.mask_bands(), static_cast<uint32_t>(mels), "mask_bands");
  if (config.has_mask_frames()) CheckMasks(config.mask_frames(), kMostFrames, "mask_frames");
  if (!(config.noise() >= 0 && std::isfinite(config.noise())))
    throw BadAugment("noise", fmt::format("{} is not 0 or more", config.noise()), "for example 0.05");
}

double DrawSpeed(const Augment& config, const SampleKey& key, size_t part) {
  if (!config.has_speed()) return 1;
  const RandomStream stream{key.seed, key.epoch, kSpeedKey, key.id};
  const double u = stream.Uniform(static_cast<uint32_t>(part));
  return config.speed().min() + (config.speed().max() - config.speed().min()) * u;
}

int64_t LengthAtSpeed(int64_t samples, double speed) {
  return static_cast<int64_t>(static_cast<double>(samples) * (1 / speed));
}

void AppendAtSpeed(std::span<const float> recording, double speed, std::vector<float>& audio) {
  const auto count = static_cast<int64_t>(recording.size()), length = LengthAtSpeed(count, speed);
  if (length == count) {
    audio.insert(audio.end(), recording.begin(), recording.end());
    return;
  }
  const size_t begin = audio.size();
  audio.resize(begin + static_cast<size_t>(length));
  float* const to = audio.data() + begin;
  // In double: in float, positions in a minute of audio are off by up to a sixteenth of a sample.
  const double step = 1 / (1 / speed);
  for (int64_t i = 0; i < length; ++i) {
    const double at = std::max(step * (static_cast<double>(i) + 0.5) - 0.5, 0.0);
    const int64_t before = std::min(static_cast<int64_t>(at), count - 1), after = std::min(before + 1, count - 1);
    const double part = std::min(at - static_cast<double>(before), 1.0);
    to[i] = static_cast<float>((1 - part) * recording[static_cast<size_t>(before)] +
                               part * recording[static_cast<size_t>(after)]);
  }
}

void AddNoise(const Augment& config, const SampleKey& key, size_t begin, std::span<float> recording) {
  if (config.noise() == 0 || recording.empty()) return;
  double squares = 0;
  for (const float value : recording) squares += double{value} * value;
  const double deviation = config.noise() * std::sqrt(squares / static_cast<double>(recording.size()));
  const RandomStream stream{key.seed, key.epoch, kNoiseKey, key.id};
  for (size_t i = 0; i < recording.size(); ++i) {
    const auto element = static_cast<uint32_t>(2 * (begin + i));
    const Philox4 bits = stream.Group(element / 4);
    const double normal = NormalFromBits(bits.x[element % 4], bits.x[element % 4 + 1]);
    recording[i] = static_cast<float>(recording[i] + deviation * normal);
  }
}

void Mask(const Augment& config, const SampleKey& key, int mels, std::span<float> frames) {
  const RandomStream stream{key.seed, key.epoch, kMaskKey, key.id};
  const auto bands = static_cast<size_t>(mels), count = frames.size() / bands;
  for (uint32_t i = 0; i < config.mask_bands().count(); ++i) {
    const Run run = DrawRun(stream, i, config.mask_bands().width(), bands);
    for (size_t frame = 0; frame < count; ++frame)
      std::fill(frames.data() + frame * bands + run.begin, frames.data() + frame * bands + run.end, 0.0f);
  }
  for (uint32_t i = 0; i < config.mask_frames().count(); ++i) {
    const Run run = DrawRun(stream, config.mask_bands().count() + i, config.mask_frames().width(), count);
    std::fill(frames.data() + run.begin * bands, frames.data() + run.end * bands, 0.0f);
  }
}

}  // namespace lockstep::data
