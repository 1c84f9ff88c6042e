#include "data/audio/resample.h"

#include <samplerate.h>

#include "base/error.h"

namespace lockstep::data {

int64_t ResampledLength(int64_t samples, int from, int to) {
  // Samples are below 2^31, rates below 2^20.
  return from == to ? samples : (samples * to + from - 1) / from;
}

std::vector<float> Resample(std::span<const float> samples, int from, int to) {
  std::vector<float> result(static_cast<size_t>(ResampledLength(static_cast<int64_t>(samples.size()), from, to)));
  if (result.empty()) return result;
  SRC_DATA data{};
  data.data_in = samples.data();
  data.input_frames = static_cast<long>(samples.size());
  data.data_out = result.data();
  data.output_frames = static_cast<long>(result.size());
  data.src_ratio = static_cast<double>(to) / from;
  // A last sample that it doesn't give, for its own rounding of the length, stays 0.
  const int error = src_simple(&data, SRC_SINC_MEDIUM_QUALITY, 1);
  CHECK(error == 0, "libsamplerate: {}", src_strerror(error));
  return result;
}

}  // namespace lockstep::data
