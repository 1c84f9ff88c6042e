// Audio at another sample rate, through libsamplerate: a band-limited interpolation (97 % of the band's 90 %, 121 dB).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::data {

/// Samples that `samples` at `from` Hz are at `to` Hz: rounded up.
int64_t ResampledLength(int64_t samples, int from, int to);

/// Exactly ResampledLength values, the first at the same moment as the first of `samples`. Rates must not be further
/// apart than a factor of 256.
std::vector<float> Resample(std::span<const float> samples, int from, int to);

}  // namespace lockstep::data
