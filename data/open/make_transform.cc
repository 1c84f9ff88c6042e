#include "data/open/make_transform.h"

#include "base/error.h"
#include "data/audio/speech_transform.h"
#include "data/boxes/boxed_transform.h"
#include "data/image/image_transform.h"
#include "data/image/picture_transform.h"
#include "data/rows/passed_field.h"
#include "data/rows/weighted_transform.h"
#include "data/text/sentences/parallel_transform.h"

namespace lockstep::data {
namespace {

Error BadConfig(const char* field, std::string message, std::string hint = "") {
  return Error(ErrorKind::kUsage, std::move(message), field, std::move(hint));
}

/// Of sequences, and of samples that have only fields of names that the recipe gives.
class PassingTransform final : public Transform {
 public:
  explicit PassingTransform(std::span<const Field> fields) : sample_fields_(fields.begin(), fields.end()) {
    for (const Field& field : fields) fields_.push_back(PassedField(field));
  }
  std::span<const Field> fields() const override { return fields_; }
  void Apply(const Sample& sample, uint64_t, uint64_t, bool, int64_t, std::span<std::byte* const> rows) const override {
    for (size_t i = 0; i < fields_.size(); ++i) PassValues(sample.tensors[i], sample_fields_[i], rows[i]);
  }

 private:
  const std::vector<Field> sample_fields_;
  std::vector<Field> fields_;
};

std::unique_ptr<Transform> MakeSampleTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed) {
  if (fields[0].name == "pictures") return MakeBoxedTransform(fields, config, seed);
  if (fields[0].name == "encoded") return MakePictureTransform(fields, config, seed);
  if (config.has_pictures())
    throw BadConfig("data.pictures", "the samples are no encoded pictures", "remove it, or set data.train.folder");
  if (fields[0].name == "source") return MakeParallelTransform(fields, config);
  if (fields[0].name == "audio") return MakeSpeechTransform(fields, config, seed);
  const bool frames = fields[0].name == "features" && fields[0].shape.rank() == 2;
  const bool named = fields[0].use == Field::Use::kInput;
  if (fields[0].name != "tokens" && !frames && !named) return MakeImageTransform(fields, config, seed);
  if (config.has_normalize())
    throw BadConfig("data.normalize",
                    named ? "none of the fields is called \"image\" or \"features\"" : "sequences can't be normalised",
                    named ? "remove it; a field can have a scale" : "remove it");
  if (config.has_augment())
    throw BadConfig("data.augment", "only images, features and recordings are augmented", "remove it");
  return std::make_unique<PassingTransform>(fields);
}

}  // namespace

DataConfig ForAnswers(DataConfig config) {
  config.clear_augment();
  config.clear_class_weights();
  if (!config.has_normalize()) return config;
  config.mutable_normalize()->clear_target_mean();
  config.mutable_normalize()->clear_target_deviation();
  return config;
}

std::unique_ptr<Transform> MakeTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed) {
  return WithRowWeights(MakeSampleTransform(fields, config, seed), config, seed);
}

}  // namespace lockstep::data
