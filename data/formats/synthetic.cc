#include "data/formats/synthetic.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/philox.h"
#include "data/formats/synthetic_speech.h"
#include "data/random_keys.h"

namespace lockstep::data {
namespace {

constexpr uint64_t kDefaultSamples = 4096;
constexpr uint32_t kDefaultClasses = 10;
constexpr int64_t kMostValues = int64_t{1} << 31;  // of one sample: elements are counted in 32 bits

class SyntheticDataset : public Dataset {
 public:
  SyntheticDataset(uint64_t size, Field input, uint32_t classes, uint64_t seed)
      : size_(size),
        fields_{
            {input, Field{"label", DType::kI32, input.dtype == DType::kI32 ? input.shape : Shape{}, /*padding=*/-1}}},
        classes_(classes),
        seed_(seed),
        traits_{.classes = static_cast<int>(classes), .labels = static_cast<uint64_t>(fields_[1].shape.size())} {}

  uint64_t size() const override { return size_; }
  std::span<const Field> fields() const override { return fields_; }
  const SourceTraits& traits() const override { return traits_; }

  uint64_t fingerprint() const override {
    return Hash64(fmt::format("synthetic 1 {} {} {} {} {}", size_, fields_[0].name, fields_[0].shape.ToString(),
                              classes_, seed_));
  }

  void Read(uint64_t, uint64_t id, Sample& sample) const override {
    CHECK(id < size_, "sample {} of {}", id, size_);
    sample.tensors.resize(fields_.size());
    for (size_t i = 0; i < fields_.size(); ++i) {
      sample.tensors[i].shape = fields_[i].shape;
      sample.tensors[i].bytes.resize(static_cast<size_t>(fields_[i].shape.size() * SizeOf(fields_[i].dtype)));
    }
    const RandomStream values{seed_, 0, kSyntheticValuesKey, id}, label{seed_, 0, kSyntheticLabelsKey, id};
    if (fields_[0].dtype == DType::kU8) {
      FillBytes(values, sample.tensors[0].bytes);
    } else if (fields_[0].dtype == DType::kF32) {
      FillFloats(values, sample.tensors[0].As<float>());
    } else {
      FillClasses(values, sample.tensors[0].As<int32_t>());
    }
    FillClasses(label, sample.tensors[1].As<int32_t>());
  }

 private:
  static void FillBytes(const RandomStream& stream, std::span<std::byte> bytes) {
    for (size_t i = 0; i < bytes.size(); i += sizeof(Philox4)) {
      const Philox4 group = stream.Group(static_cast<uint32_t>(i / sizeof(Philox4)));
      std::memcpy(bytes.data() + i, group.x, std::min(sizeof(Philox4), bytes.size() - i));
    }
  }

  void FillClasses(const RandomStream& stream, std::span<int32_t> values) const {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<int32_t>(uint64_t{stream.Bits(static_cast<uint32_t>(i))} * classes_ >> 32);
  }

  static void FillFloats(const RandomStream& stream, std::span<float> values) {
    constexpr float kDeviation = 3.46410162f;  // 1 / that of a uniform number in [0, 1): sqrt(12)
    for (size_t i = 0; i < values.size(); i += 4) {
      const Philox4 group = stream.Group(static_cast<uint32_t>(i / 4));
      for (size_t k = 0; k < std::min<size_t>(4, values.size() - i); ++k) {
        values[i + k] = (static_cast<float>(group.x[k] >> 8) * 0x1p-24f - 0.5f) * kDeviation;
      }
    }
  }

  uint64_t size_;
  std::array<Field, 2> fields_;
  uint32_t classes_;
  uint64_t seed_;
  SourceTraits traits_;
};

Field InputField(const Synthetic& config, const std::string& field) {
  if (config.has_speech() + config.has_image() + (config.features() > 0) + (config.tokens() > 0) != 1) {
    throw Error(ErrorKind::kUsage, "set one of image, features, tokens and speech", field);
  }
  if (config.tokens() > 0) return {"tokens", DType::kI32, Shape{config.tokens()}};
  if (config.features() > 0) return {"features", DType::kF32, Shape{config.features()}};
  const ImageShape& image = config.image();
  const int64_t channels = image.channels() == 0 ? 1 : image.channels();
  int64_t values = 0;
  if (image.height() == 0 || image.width() == 0 ||
      __builtin_mul_overflow(int64_t{image.height()}, int64_t{image.width()}, &values) ||
      __builtin_mul_overflow(values, channels, &values) || values > kMostValues) {
    throw Error(ErrorKind::kUsage, fmt::format("{} x {} x {} is no image", image.height(), image.width(), channels),
                field + ".image", "set height and width");
  }
  return {"image", DType::kU8, Shape{image.height(), image.width(), channels}};
}

}  // namespace

std::unique_ptr<Dataset> MakeSynthetic(const Synthetic& config, const std::string& field, uint64_t seed) {
  if (config.has_speech() && !config.has_image() && config.features() == 0 && config.tokens() == 0)
    return MakeSyntheticSpeech(config, field, Mix64(seed ^ Hash64(field)));
  const uint32_t classes = config.classes() == 0 ? kDefaultClasses : config.classes();
  if (classes > uint32_t{1} << 30) {
    throw Error(ErrorKind::kUsage, fmt::format("{} classes are too many", classes), field + ".classes");
  }
  const uint64_t samples = config.samples() == 0 ? kDefaultSamples : config.samples();
  return std::make_unique<SyntheticDataset>(samples, InputField(config, field), classes, Mix64(seed ^ Hash64(field)));
}

}  // namespace lockstep::data
