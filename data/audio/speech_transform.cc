#include "data/audio/speech_transform.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "data/audio/features.h"
#include "data/audio/speech_augment.h"

namespace lockstep::data {
namespace {

class SpeechTransform final : public Transform {
 public:
  SpeechTransform(const DataConfig& config, uint64_t seed)
      : extractor_(MakeFeatureOptions(config.speech_features())),
        augment_(config.augment()),
        seed_(seed),
        fields_{{Field{"features", DType::kF32, Shape{-1, extractor_.width()}}, Field{"length", DType::kI32, Shape{}},
                 Field{"label", DType::kI32, Shape{-1}, /*padding=*/-1},
                 Field{"label_length", DType::kI32, Shape{}, /*padding=*/-1}}} {
    CheckSpeechAugment(augment_, extractor_.options().mels);
  }

  std::span<const Field> fields() const override { return fields_; }

  int64_t SequenceLength(std::span<const int64_t> lengths, uint64_t epoch, uint64_t id, bool augment) const override {
    int64_t samples = 0;
    for (size_t part = 0; part < lengths.size(); ++part) {
      samples += augment ? LengthAtSpeed(lengths[part], DrawSpeed(augment_, {seed_, epoch, id}, part)) : lengths[part];
    }
    return extractor_.TimeSteps(samples);
  }

  bool stretches() const override { return augment_.has_speed(); }

  int64_t LongestSequence(std::span<const int64_t> lengths) const override {
    const double slowest = augment_.has_speed() ? std::min(augment_.speed().min(), 1.0) : 1.0;
    int64_t samples = 0;
    for (const int64_t length : lengths) samples += LengthAtSpeed(length, slowest);
    return extractor_.TimeSteps(samples);
  }

  void Apply(const Sample& sample, uint64_t epoch, uint64_t id, bool augment, int64_t length,
             std::span<std::byte* const> rows) const override {
    CHECK(sample.tensors.size() == 3 && rows.size() == fields_.size());
    std::vector<float> audio, frames;
    const SampleKey key{seed_, epoch, id};
    JoinParts(sample.tensors[0].As<float>(), sample.tensors[1].As<int32_t>(), augment ? &key : nullptr, audio);
    extractor_.Compute(audio, frames);
    if (augment) Mask(augment_, key, extractor_.options().mels, frames);

    const int64_t own = extractor_.TimeSteps(static_cast<int64_t>(audio.size())), width = extractor_.width();
    CHECK(own <= length, "{} time steps for a sample of {}", length, own);
    float* const features = reinterpret_cast<float*>(rows[0]);
    std::copy_n(frames.data(), own * width, features);
    std::fill(features + own * width, features + length * width, 0.0f);
    const std::span<const int32_t> labels = sample.tensors[2].As<int32_t>();
    PutNumber(own, rows[1]);
    const std::span<int32_t> row(reinterpret_cast<int32_t*>(rows[2]), static_cast<size_t>(length));
    const auto end = std::copy_n(labels.begin(), std::min(labels.size(), row.size()), row.begin());
    std::fill(end, row.end(), -1);
    PutNumber(static_cast<int64_t>(labels.size()), rows[3]);
  }

 private:
  static void PutNumber(int64_t number, std::byte* row) {
    *reinterpret_cast<int32_t*>(row) = static_cast<int32_t>(number);
  }

  /// The recordings one behind the other, changed by `key` where that is given.
  void JoinParts(std::span<const float> recordings, std::span<const int32_t> parts, const SampleKey* key,
                 std::vector<float>& audio) const {
    CHECK(std::accumulate(parts.begin(), parts.end(), int64_t{0}) == static_cast<int64_t>(recordings.size()));
    size_t at = 0;
    for (size_t part = 0; part < parts.size(); ++part) {
      const auto recording = recordings.subspan(at, static_cast<size_t>(parts[part]));
      at += recording.size();
      const size_t begin = audio.size();
      AppendAtSpeed(recording, key ? DrawSpeed(augment_, *key, part) : 1, audio);
      if (key) AddNoise(augment_, *key, begin, std::span(audio).subspan(begin));
    }
  }

  const FeatureExtractor extractor_;
  const Augment augment_;
  const uint64_t seed_;
  const std::array<Field, 4> fields_;
};

}  // namespace

std::unique_ptr<Transform> MakeSpeechTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed) {
  CHECK(fields.size() == 3 && fields[0].name == "audio" && fields[1].name == "part" && fields[2].name == "label");
  if (config.has_normalize()) {
    throw Error(ErrorKind::kUsage, "features of speech are normalised by themselves", "data.normalize", "remove it");
  }
  return std::make_unique<SpeechTransform>(config, seed);
}

}  // namespace lockstep::data
