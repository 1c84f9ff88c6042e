// Random changes of recordings and of their features, drawn from the sample's own streams.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/data.pb.h"

namespace lockstep::data {

/// Which sample of which epoch the changes are for.
struct SampleKey {
  uint64_t seed, epoch, id;
};

/// Throws Error(kUsage) naming the field of `config` that is out of range, or that is for images.
void CheckSpeechAugment(const Augment& config, int mels);

/// How many times faster recording `part` of the sample is played; 1 where `config` has no speed.
double DrawSpeed(const Augment& config, const SampleKey& key, size_t part);

/// Samples of a recording of `samples` that is played `speed` times faster: samples / speed, rounded down.
int64_t LengthAtSpeed(int64_t samples, double speed);

/// Appends the recording at `speed`: linear interpolation between samples, whose middles are aligned (PyTorch's
/// interpolate with scale_factor = 1 / speed, mode "linear", align_corners False).
void AppendAtSpeed(std::span<const float> recording, double speed, std::vector<float>& audio);

/// Adds noise to `recording`, which begins at sample `begin` of the sample's audio.
void AddNoise(const Augment& config, const SampleKey& key, size_t begin, std::span<float> recording);

/// Sets bands and frames of `frames`, [count, mels], to 0.
void Mask(const Augment& config, const SampleKey& key, int mels, std::span<float> frames);

}  // namespace lockstep::data
