#include "data/audio/features.h"

#include <kissfft/kiss_fftr.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace lockstep::data {
namespace {

Error BadFeature(const char* field, std::string message, std::string hint) {
  return Error(ErrorKind::kUsage, std::move(message), fmt::format("data.speech_features.{}", field), std::move(hint));
}

int InRange(uint32_t value, uint32_t otherwise, uint32_t least, uint32_t most, const char* field) {
  if (value == 0) value = otherwise;
  if (value < least || value > most) {
    throw BadFeature(field, fmt::format("{} is not between {} and {}", value, least, most),
                     fmt::format("the default is {}", otherwise));
  }
  return static_cast<int>(value);
}

constexpr int kMostSamples = 1 << 16;

int Samples(double milliseconds, double otherwise, int sample_rate, int least, const char* field) {
  if (milliseconds == 0) milliseconds = otherwise;
  const double samples = std::round(milliseconds * sample_rate / 1000);
  if (!(samples >= least && samples <= kMostSamples)) {
    throw BadFeature(
        field, fmt::format("{} ms at {} Hz are not {} to {} samples", milliseconds, sample_rate, least, kMostSamples),
        fmt::format("the default is {}", otherwise));
  }
  return static_cast<int>(samples);
}

double ToMel(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double ToHertz(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }

struct FreeTransform {
  void operator()(kiss_fftr_cfg transform) const { kiss_fftr_free(transform); }
};

}  // namespace

FeatureOptions MakeFeatureOptions(const SpeechFeatures& config) {
  FeatureOptions options;
  options.sample_rate = InRange(config.sample_rate(), 16000, 1000, 192000, "sample_rate");
  options.window = Samples(config.window_ms(), 25, options.sample_rate, 2, "window_ms");
  options.hop = Samples(config.hop_ms(), 10, options.sample_rate, 1, "hop_ms");
  options.mels = InRange(config.mels(), 80, 1, 1024, "mels");
  options.fft =
      static_cast<int>(config.fft() == 0 ? std::bit_ceil(static_cast<uint32_t>(options.window)) : config.fft());
  if (options.fft < options.window || options.fft > kMostSamples || options.fft % 2 != 0) {
    throw BadFeature("fft",
                     fmt::format("{} is not even and between the {} samples of a window and {}", config.fft(),
                                 options.window, kMostSamples),
                     "leave it out: the next power of two");
  }
  options.stack = InRange(config.stack(), 1, 1, 64, "stack");
  options.log_floor = config.log_floor() == 0 ? 1e-6f : static_cast<float>(config.log_floor());
  if (!(options.log_floor > 0) || !std::isfinite(options.log_floor))
    throw BadFeature("log_floor", fmt::format("{} is not above 0", config.log_floor()), "the default is 1e-6");
  return options;
}

/// What one thread computes with: KISS FFT's transforms have scratch memory inside.
struct FeatureExtractor::Workspace {
  explicit Workspace(int fft)
      : transform(kiss_fftr_alloc(fft, /*inverse_fft=*/0, nullptr, nullptr)),
        frame(static_cast<size_t>(fft)),
        spectrum(static_cast<size_t>(fft) / 2 + 1),
        power(spectrum.size()) {
    CHECK(transform != nullptr);
  }
  std::unique_ptr<kiss_fftr_state, FreeTransform> transform;
  std::vector<float> frame;
  std::vector<kiss_fft_cpx> spectrum;
  std::vector<float> power;
};

FeatureExtractor::FeatureExtractor(const FeatureOptions& options) : options_(options) {
  for (int i = 0; i < options.window; ++i)
    window_.push_back(static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / options.window)));

  std::vector<double> corners;  // of triangle m: m, m + 1 and m + 2
  const double top = ToMel(options.sample_rate / 2.0);
  for (int i = 0; i < options.mels + 2; ++i) corners.push_back(ToHertz(top * i / (options.mels + 1)));
  for (size_t m = 0; m < static_cast<size_t>(options.mels); ++m) {
    Triangle triangle{.first = 0, .weights = {}};
    for (int bin = 0; bin <= options.fft / 2; ++bin) {
      const double hertz = static_cast<double>(bin) * options.sample_rate / options.fft;
      const double weight = std::min((hertz - corners[m]) / (corners[m + 1] - corners[m]),
                                     (corners[m + 2] - hertz) / (corners[m + 2] - corners[m + 1]));
      if (weight <= 0) continue;
      if (triangle.weights.empty()) triangle.first = bin;
      triangle.weights.push_back(static_cast<float>(weight));
    }
    triangles_.push_back(std::move(triangle));
  }
}

FeatureExtractor::~FeatureExtractor() = default;

int64_t FeatureExtractor::Frames(int64_t samples) const {
  const int64_t more = samples - options_.window;
  return std::max<int64_t>(more < 0 ? 0 : more / options_.hop + 1, options_.stack);
}

std::unique_ptr<FeatureExtractor::Workspace> FeatureExtractor::TakeWorkspace() const {
  {
    const MutexLock lock(mutex_);
    if (!idle_.empty()) {
      auto workspace = std::move(idle_.back());
      idle_.pop_back();
      return workspace;
    }
  }
  return std::make_unique<Workspace>(options_.fft);
}

/// The power spectrum of the window from sample `begin` on; what is behind the audio is 0.
void FeatureExtractor::PowerOf(std::span<const float> audio, int64_t begin, Workspace& workspace) const {
  const size_t first = std::min(static_cast<size_t>(begin), audio.size()),
               count = std::min(window_.size(), audio.size() - first);
  float* const frame = workspace.frame.data();
  for (size_t i = 0; i < count; ++i) frame[i] = audio[first + i] * window_[i];
  std::fill(workspace.frame.begin() + static_cast<int64_t>(count), workspace.frame.end(), 0.0f);
  kiss_fftr(workspace.transform.get(), frame, workspace.spectrum.data());
  for (size_t i = 0; i < workspace.power.size(); ++i) {
    const kiss_fft_cpx value = workspace.spectrum[i];
    workspace.power[i] = value.r * value.r + value.i * value.i;
  }
}

void FeatureExtractor::Compute(std::span<const float> audio, std::vector<float>& frames) const {
  const auto count = static_cast<size_t>(Frames(static_cast<int64_t>(audio.size()))), mels = triangles_.size();
  frames.resize(count * mels);
  auto workspace = TakeWorkspace();
  for (size_t frame = 0; frame < count; ++frame) {
    PowerOf(audio, static_cast<int64_t>(frame) * options_.hop, *workspace);
    for (size_t m = 0; m < mels; ++m) {
      float sum = 0;
      const float* const power = workspace->power.data() + triangles_[m].first;
      const std::vector<float>& weights = triangles_[m].weights;
      for (size_t i = 0; i < weights.size(); ++i) sum += power[i] * weights[i];
      frames[frame * mels + m] = std::log(sum + options_.log_floor);
    }
  }
  Normalize(frames);
  const MutexLock lock(mutex_);
  idle_.push_back(std::move(workspace));
}

void FeatureExtractor::Normalize(std::span<float> frames) const {
  constexpr double kLeastDeviation = 1e-3;
  const size_t mels = triangles_.size(), count = frames.size() / mels;
  std::vector<double> mean(mels), variance(mels);
  for (size_t i = 0; i < frames.size(); i += mels) {
    for (size_t m = 0; m < mels; ++m) mean[m] += frames[i + m];
  }
  for (double& value : mean) value /= static_cast<double>(count);
  for (size_t i = 0; i < frames.size(); i += mels) {
    for (size_t m = 0; m < mels; ++m) variance[m] += (frames[i + m] - mean[m]) * (frames[i + m] - mean[m]);
  }
  for (double& value : variance) value = 1 / (std::sqrt(value / static_cast<double>(count)) + kLeastDeviation);
  for (size_t i = 0; i < frames.size(); i += mels) {
    for (size_t m = 0; m < mels; ++m) frames[i + m] = static_cast<float>((frames[i + m] - mean[m]) * variance[m]);
  }
}

}  // namespace lockstep::data
