#include "data/open/settle_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "data/open/make_transform.h"
#include "data/rows/class_weights.h"
#include "data/statistics.h"

namespace lockstep::data {
namespace {

/// Samples that are read from files one by one.
constexpr uint64_t kMostFiles = 4096;
/// Values that are held in memory.
constexpr uint64_t kMostHeld = std::numeric_limits<uint64_t>::max();

/// The place of the f32 field of that name, or -1.
int FindFloats(std::span<const Field> fields, const std::string& name) {
  for (size_t i = 0; i < fields.size(); ++i)
    if (fields[i].name == name && fields[i].dtype == DType::kF32) return static_cast<int>(i);
  return -1;
}

using Doubles = google::protobuf::RepeatedField<double>;

/// `keep_binary`: features of 0 and 1 stay as they are.
void Write(const ChannelStatistics& statistics, bool keep_binary, Doubles& means, Doubles& deviations) {
  for (size_t i = 0; i < statistics.mean.size(); ++i) {
    const bool stays = keep_binary && statistics.binary[i];
    means.Add(stays ? 0 : statistics.mean[i]);
    deviations.Add(stays || !(statistics.deviation[i] > 0) ? 1 : statistics.deviation[i]);
  }
}

DataConfig WithoutAuto(DataConfig config) {
  if (config.normalize().has_auto_()) config.clear_normalize();
  return config;
}

void SettleAuto(const std::shared_ptr<const Dataset>& train, uint64_t seed, DataConfig& config) {
  Normalize& normalize = *config.mutable_normalize();
  if (normalize.mean_size() + normalize.deviation_size() + normalize.target_mean_size() +
          normalize.target_deviation_size() >
      0)
    throw Error(ErrorKind::kUsage, "is given beside means or deviations", "data.normalize.auto",
                "remove it, or mean, deviation, target_mean and target_deviation");
  const bool targets = !normalize.auto_().has_targets() || normalize.auto_().targets();
  normalize.clear_auto_();
  DataConfig raw = config;
  raw.clear_augment();
  const std::unique_ptr<Transform> transform = MakeTransform(train->fields(), raw, seed);
  const uint64_t most = train->traits().held_bytes > 0 ? kMostHeld : kMostFiles;
  const int image = FindFloats(transform->fields(), "image"), features = FindFloats(transform->fields(), "features");
  const int target = FindFloats(transform->fields(), "target");
  if (image < 0 && features < 0)
    throw Error(ErrorKind::kUsage, "only images and features of tables can be normalised by it", "data.normalize.auto",
                "remove it");
  const auto input = static_cast<size_t>(std::max(image, features));
  Write(Measure(train, *transform, input, most, seed), image < 0, *normalize.mutable_mean(),
        *normalize.mutable_deviation());
  if (target >= 0 && targets)
    Write(Measure(train, *transform, static_cast<size_t>(target), most, seed), false, *normalize.mutable_target_mean(),
          *normalize.mutable_target_deviation());
}

/// Gradients of weights on large features drown those of the others.
void WarnOfSizes(const std::shared_ptr<const Dataset>& train, uint64_t seed, const DataConfig& config) {
  constexpr double kFarApart = 1000;
  constexpr uint64_t kLookedAt = 10000;
  const std::span<const Field> fields = train->fields();
  if (fields[0].name != "features" || fields[0].shape.rank() != 1 || fields[0].dtype != DType::kF32) return;
  if (train->traits().held_bytes == 0) return;
  const std::unique_ptr<Transform> transform = MakeTransform(fields, config, seed);
  const ChannelStatistics statistics = Measure(train, *transform, 0, kLookedAt, seed);
  const auto [least, most] = [&] {
    std::pair<double, double> sizes = {std::numeric_limits<double>::infinity(), 0};
    for (size_t i = 0; i < statistics.mean.size(); ++i) {
      const double size = std::hypot(statistics.mean[i], statistics.deviation[i]);
      if (size > 0) sizes = {std::min(sizes.first, size), std::max(sizes.second, size)};
    }
    return sizes;
  }();
  if (most <= kFarApart * least) return;
  LogWarning(
      "features are of very different sizes, from about {:.2g} to {:.2g}: data {{ normalize {{ auto {{}} }} }} "
      "makes them alike",
      least, most);
}

}  // namespace

std::vector<int> CategoriesOf(const Dataset& train) {
  std::vector<int> words;
  if (train.traits().table == nullptr) return words;
  for (const TableColumn& column : train.traits().table->columns())
    if (column.embedded()) words.push_back(column.values_size());
  return words;
}

namespace {

/// The first one is the input where there is no image and there are no features.
void AddNamedFields(std::span<const Field> fields, DataConfig& config) {
  for (const Field& field : fields) {
    if (field.use == Field::Use::kFormats) continue;
    SampleForm& form = *config.mutable_sample();
    NamedField& named = *form.add_fields();
    named.set_name(field.name);
    for (const int64_t dim : field.shape.dims()) named.add_shape(dim);
    named.set_integers(field.dtype == DType::kI32);
    named.set_classes(static_cast<uint32_t>(field.classes));
    named.set_answer(field.use == Field::Use::kAnswer);
    if (!form.input().empty()) continue;
    form.set_input(field.name);
    *form.mutable_shape() = named.shape();
  }
}

void SettleForm(const Dataset& train, uint64_t seed, DataConfig& config) {
  const std::unique_ptr<Transform> transform = MakeTransform(train.fields(), WithoutAuto(config), seed);
  config.clear_sample();
  for (const Field& field : transform->fields()) {
    SampleForm& form = *config.mutable_sample();
    const bool table = field.name == "features" && field.shape.rank() == 1;
    if (field.name == "image" || table) {
      form.set_input(field.name);
      for (int i = 0; i < field.shape.rank(); ++i) form.add_shape(field.shape[i]);
    }
    if (field.name == "label") form.set_classes(static_cast<uint32_t>(train.classes()));
    if (field.name == "inside") {
      form.set_boxes(true);
      form.set_classes(static_cast<uint32_t>(train.classes()));
    }
    if (field.name == "target") form.set_targets(static_cast<uint32_t>(field.shape[0]));
    if (field.name == "categories")
      for (const int words : CategoriesOf(train)) form.add_categories(static_cast<uint32_t>(words));
  }
  AddNamedFields(transform->fields(), config);
  if (config.train().has_arrays()) config.mutable_sample()->set_bytes(train.fields()[0].dtype == DType::kU8);
  if (config.sample().input().empty()) config.clear_sample();  // sequences
}

}  // namespace

void SettleData(const std::shared_ptr<const Dataset>& train, uint64_t seed, DataConfig& config) {
  const SourceTraits& traits = train->traits();
  if (config.has_class_weights()) SettleClassWeights(*train, *config.mutable_class_weights());
  config.mutable_class_names()->Assign(traits.class_names.begin(), traits.class_names.end());
  SettleForm(*train, seed, config);
  if (traits.table != nullptr) *config.mutable_table() = *traits.table;
  if (config.normalize().has_auto_()) {
    SettleAuto(train, seed, config);
  } else if (!config.has_normalize()) {
    WarnOfSizes(train, seed, config);
  }
}

}  // namespace lockstep::data
