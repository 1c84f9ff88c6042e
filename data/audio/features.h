// What a model of speech reads: the logarithm of the power in mel bands.
//
// Frames are cut without padding at the ends, weighted with a periodic Hann window, and padded with zeros to the
// Fourier transform's length. Power goes through triangles of peak 1 that are spaced evenly on HTK's mel scale from 0
// Hz to half the sample rate; to its logarithm with a floor each band is brought to mean 0 and deviation 1 over the
// utterance: (x - mean) / (population deviation + 1e-3). Successive frames are joined; left-over ones at the end count
// for mean and deviation only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "data/data.pb.h"

namespace lockstep::data {

struct FeatureOptions {
  int sample_rate = 0;               ///< Hz
  int window = 0, hop = 0, fft = 0;  ///< samples
  int mels = 0;
  int stack = 0;  ///< frames of an input
  float log_floor = 0;
};

/// With defaults filled in. Throws Error(kUsage) naming the field that is out of range.
FeatureOptions MakeFeatureOptions(const SpeechFeatures& config);

/// Thread-safe.
class FeatureExtractor {
 public:
  explicit FeatureExtractor(const FeatureOptions& options);
  ~FeatureExtractor();

  const FeatureOptions& options() const { return options_; }
  /// Frames of so many samples. Audio that is too short for one input, even empty, is padded with zeros to one.
  int64_t Frames(int64_t samples) const;
  /// Inputs: Frames / stack.
  int64_t TimeSteps(int64_t samples) const { return Frames(samples) / options_.stack; }
  /// Values of an input.
  int64_t width() const { return int64_t{options_.stack} * options_.mels; }

  /// Replaces `frames` by [Frames(audio.size()), mels]. `stack` successive rows are an input.
  void Compute(std::span<const float> audio, std::vector<float>& frames) const;

 private:
  struct Workspace;
  struct Triangle {
    int first;  ///< bin
    std::vector<float> weights;
  };

  void PowerOf(std::span<const float> audio, int64_t begin, Workspace& workspace) const;
  void Normalize(std::span<float> frames) const;
  std::unique_ptr<Workspace> TakeWorkspace() const;

  const FeatureOptions options_;
  std::vector<float> window_;
  std::vector<Triangle> triangles_;
  mutable Mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_ GUARDED_BY(mutex_);
};

}  // namespace lockstep::data
