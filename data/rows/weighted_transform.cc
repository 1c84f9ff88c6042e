#include "data/rows/weighted_transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "data/rows/row_mixing.h"

namespace lockstep::data {
namespace {

constexpr size_t kNone = static_cast<size_t>(-1);

/// The place of the field of that name, or kNone.
size_t Find(std::span<const Field> fields, const char* name) {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& field) { return field.name == name; });
  return found == fields.end() ? kNone : static_cast<size_t>(found - fields.begin());
}

std::vector<float> WeightsOf(const ClassWeights& config) {
  constexpr char kPath[] = "data.class_weights";
  if (config.balanced() && config.values_size() > 0)
    throw Error(ErrorKind::kUsage, "balanced is given beside values", kPath, "remove one of the two");
  for (const double value : config.values())
    if (!(value >= 0) || !std::isfinite(value))
      throw Error(ErrorKind::kUsage, fmt::format("{} is not a number of at least 0", value), kPath, "");
  return {config.values().begin(), config.values().end()};
}

class WeightedTransform final : public Transform {
 public:
  WeightedTransform(std::unique_ptr<Transform> inner, std::vector<float> class_weights, RowMixing mixing)
      : inner_(std::move(inner)),
        fields_(inner_->fields().begin(), inner_->fields().end()),
        mixing_(std::move(mixing)),
        class_weights_(std::move(class_weights)),
        label_(Find(fields_, "label")),
        target_(Find(fields_, "target")) {
    if (label_ == kNone) return;
    fields_.push_back({"weight", DType::kF32, Shape{}});
    if (!mixing_.active()) return;
    fields_.push_back({"other_label", DType::kI32, Shape{}, /*padding=*/-1});
    fields_.push_back({"other_weight", DType::kF32, Shape{}});
  }

  std::span<const Field> fields() const override { return fields_; }

  void Apply(const Sample& sample, uint64_t epoch, uint64_t id, bool augment, int64_t length,
             std::span<std::byte* const> rows) const override {
    const size_t inner = inner_->fields().size();
    inner_->Apply(sample, epoch, id, augment, length, rows.first(inner));
    if (label_ == kNone) return;
    const int32_t label = *reinterpret_cast<const int32_t*>(rows[label_]);
    *reinterpret_cast<float*>(rows[inner]) = WeightOf(label);
    if (!mixing_.active()) return;
    *reinterpret_cast<int32_t*>(rows[inner + 1]) = label;
    *reinterpret_cast<float*>(rows[inner + 2]) = 0;
  }

  void MixRows(std::span<const Sampler::Pick> picks, std::span<std::byte* const> fields) const override {
    if (!mixing_.active() || picks.empty()) return;
    const auto input = static_cast<size_t>(fields_[0].shape.size());
    const auto targets = target_ == kNone ? size_t{0} : static_cast<size_t>(fields_[target_].shape.size());
    const auto row_of = [&](size_t field, size_t size, size_t row) {
      return std::span(reinterpret_cast<float*>(fields[field]) + row * size, size);
    };
    // The first row is the last one's other, and changed by then.
    thread_local std::vector<float> first_input, first_targets;
    first_input.assign(row_of(0, input, 0).begin(), row_of(0, input, 0).end());
    if (targets > 0) first_targets.assign(row_of(target_, targets, 0).begin(), row_of(target_, targets, 0).end());
    for (size_t row = 0; row < picks.size(); ++row) {
      const RowMix mix = mixing_.Draw(picks[row].epoch, picks[row].id);
      const bool last = row + 1 == picks.size();
      mixing_.MixInput(mix, last ? std::span(first_input) : row_of(0, input, row + 1), row_of(0, input, row));
      if (targets > 0)
        Blend(mix.share, last ? std::span(first_targets) : row_of(target_, targets, row + 1),
              row_of(target_, targets, row));
      if (label_ != kNone) MixLabels(mix.share, row, last ? 0 : row + 1, fields);
    }
  }

  /// What is mixed are normalised values.
  std::unique_ptr<Transform> AsBytes() const override {
    std::unique_ptr<Transform> inner = mixing_.active() ? nullptr : inner_->AsBytes();
    if (inner == nullptr) return nullptr;
    return std::make_unique<WeightedTransform>(std::move(inner), class_weights_, mixing_);
  }
  const Normalizer* normalizer() const override { return inner_->normalizer(); }

 private:
  float WeightOf(int32_t label) const {
    if (class_weights_.empty()) return 1;
    CHECK(label >= 0 && static_cast<size_t>(label) < class_weights_.size(), "label {} of {} class weights", label,
          class_weights_.size());
    return class_weights_[static_cast<size_t>(label)];
  }

  void MixLabels(float share, size_t row, size_t other, std::span<std::byte* const> fields) const {
    const size_t inner = inner_->fields().size();
    const auto* labels = reinterpret_cast<const int32_t*>(fields[label_]);
    reinterpret_cast<float*>(fields[inner])[row] = share * WeightOf(labels[row]);
    reinterpret_cast<int32_t*>(fields[inner + 1])[row] = labels[other];
    reinterpret_cast<float*>(fields[inner + 2])[row] = (1 - share) * WeightOf(labels[other]);
  }

  const std::unique_ptr<Transform> inner_;
  std::vector<Field> fields_;
  const RowMixing mixing_;
  const std::vector<float> class_weights_;
  const size_t label_, target_;
};

}  // namespace

std::unique_ptr<Transform> WithRowWeights(std::unique_ptr<Transform> transform, const DataConfig& config,
                                          uint64_t seed) {
  RowMixing mixing(config.augment(), transform->fields()[0], seed);
  const std::span<const Field> fields = transform->fields();
  const size_t label = Find(fields, "label");
  if (config.has_class_weights() && (label == kNone || fields[label].shape.rank() > 0))
    throw Error(ErrorKind::kUsage, "it is for samples with one label each", "data.class_weights", "remove it");
  if (mixing.active() && Find(fields, "categories") != kNone)
    throw Error(ErrorKind::kUsage, "words of columns that are embedded can't be blended", "data.augment.mixup",
                "remove it, or make these columns categorical");
  const auto named = std::ranges::find_if(fields, [](const Field& field) { return field.use != Field::Use::kFormats; });
  if (mixing.active() && named != fields.end())
    throw Error(ErrorKind::kUsage, fmt::format("\"{}\" can't be blended", named->name), "data.augment",
                "remove mixup and cutmix, or this field");
  if (!config.has_class_weights() && !mixing.active()) return transform;
  return std::make_unique<WeightedTransform>(std::move(transform), WeightsOf(config.class_weights()),
                                             std::move(mixing));
}

}  // namespace lockstep::data
