#include "data/formats/synthetic_speech.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/hash.h"
#include "base/philox.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

class SyntheticSpeech final : public Dataset {
 public:
  SyntheticSpeech(const Synthetic& config, uint64_t size, uint64_t seed)
      : size_(size),
        classes_(static_cast<int32_t>(config.classes())),
        letters_(config.speech().letters()),
        seed_(seed),
        fields_{{Field{"features", DType::kF32, Shape{config.speech().frames(), config.speech().values()}},
                 Field{"length", DType::kI32, Shape{}},
                 Field{"label", DType::kI32, Shape{config.speech().frames()}, /*padding=*/-1},
                 Field{"label_length", DType::kI32, Shape{}, /*padding=*/-1}}},
        traits_{.classes = classes_, .labels = letters_, .text_of = TextOfLetters} {}

  uint64_t size() const override { return size_; }
  std::span<const Field> fields() const override { return fields_; }
  const SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override {
    return Hash64(fmt::format("synthetic speech 1 {} {} {} {} {}", size_, fields_[0].shape.ToString(), letters_,
                              classes_, seed_));
  }
  SampleText Describe(uint64_t, uint64_t id) const override { return {.reference = TextOfLetters(LettersOf(id))}; }

  void Read(uint64_t, uint64_t id, Sample& sample) const override {
    CHECK(id < size_, "sample {} of {}", id, size_);
    sample.tensors.resize(fields_.size());
    for (size_t i = 0; i < fields_.size(); ++i) {
      sample.tensors[i].shape = fields_[i].shape;
      sample.tensors[i].bytes.resize(static_cast<size_t>(fields_[i].shape.size() * SizeOf(fields_[i].dtype)));
    }
    constexpr float kDeviation = 3.46410162f;  // 1 / that of a uniform number in [0, 1): sqrt(12)
    const RandomStream values{seed_, 0, kSyntheticValuesKey, id};
    uint32_t index = 0;
    for (float& value : sample.tensors[0].As<float>()) value = (values.Uniform(index++) - 0.5f) * kDeviation;
    sample.tensors[1].As<int32_t>()[0] = static_cast<int32_t>(fields_[0].shape[0]);
    const std::vector<int32_t> letters = LettersOf(id);
    std::ranges::fill(sample.tensors[2].As<int32_t>(), -1);
    std::ranges::copy(letters, sample.tensors[2].As<int32_t>().begin());
    sample.tensors[3].As<int32_t>()[0] = static_cast<int32_t>(letters.size());
  }

 private:
  static std::string TextOfLetters(std::span<const int32_t> labels) {
    std::string text;
    for (int32_t label : labels) text += static_cast<char>('a' + label % 26);
    return text;
  }

  std::vector<int32_t> LettersOf(uint64_t id) const {
    const RandomStream stream{seed_, 0, kSyntheticLabelsKey, id};
    std::vector<int32_t> letters;
    for (uint32_t i = 0; i < letters_; ++i) {
      const auto step = static_cast<int32_t>(uint64_t{stream.Bits(i)} * static_cast<uint64_t>(classes_ - 2) >> 32);
      letters.push_back(1 + ((letters.empty() ? 0 : letters.back()) + step) % (classes_ - 1));
    }
    return letters;
  }

  const uint64_t size_;
  const int32_t classes_;
  const uint32_t letters_;
  const uint64_t seed_;
  const std::array<Field, 4> fields_;
  const SourceTraits traits_;
};

}  // namespace

std::unique_ptr<Dataset> MakeSyntheticSpeech(const Synthetic& config, const std::string& field, uint64_t seed) {
  constexpr uint32_t kMostFrames = 1u << 20, kMostValues = 1u << 16;
  const Synthetic::Recording& speech = config.speech();
  const auto require = [&](bool condition, const std::string& name, const std::string& hint) {
    if (!condition) throw Error(ErrorKind::kUsage, "is missing or out of range", field + "." + name, hint);
  };
  require(speech.frames() >= 1 && speech.frames() <= kMostFrames, "speech.frames", "1 to 1048576");
  require(speech.values() >= 1 && speech.values() <= kMostValues, "speech.values", "1 to 65536");
  require(speech.letters() >= 1 && speech.letters() <= speech.frames(), "speech.letters", "1 to speech.frames");
  require(config.classes() >= 3 && config.classes() <= 1u << 20, "classes", "letters and the blank: 3 to 1048576");
  return std::make_unique<SyntheticSpeech>(config, config.samples() == 0 ? 4096 : config.samples(), seed);
}

}  // namespace lockstep::data
