#include "launch/commands/data/data_check_command.h"
#include "launch/commands/standard_streams.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "data/dataset.h"
#include "data/image/decode_image.h"
#include "data/open/make_transform.h"
#include "data/open/open_splits.h"
#include "data/text/open_tokenizer.h"
#include "data/transform.h"
#include "launch/answers/box_sheet.h"
#include "launch/answers/encode_picture.h"
#include "launch/commands/commands.h"
#include "launch/commands/data/data_pack_command.h"
#include "launch/recipe/recipe.h"

namespace lockstep::launch {
namespace {

struct DataCheckOptions {
  std::string recipe, sheet;
  std::vector<std::string> settings;
};

/// What errors have in common: their words without what is quoted as it stands in the data.
std::string KindOfError(const Error& error) {
  std::string kind;
  bool quoted = false;
  for (const char c : error.message()) {
    if (c == '\'') quoted = !quoted;
    if (!quoted && c != '\'') kind += c;
  }
  return kind;
}

/// Prints what is wrong as soon as it is found, each thing once; of very many the first ones.
class Complaints {
 public:
  void Add(const Error& error) {
    constexpr size_t kMostPrinted = 1000;
    if (!said_.insert(error.what()).second) return;
    ++kinds_[KindOfError(error)];
    if (said_.size() > kMostPrinted) return;
    fmt::print("broken  {}\n", error.what());
    if (said_.size() == kMostPrinted) fmt::print("what else is broken is only counted\n");
    FlushStandardOutput();
  }
  size_t count() const { return said_.size(); }

  /// How many there are of each kind, the most frequent first.
  void PrintKinds() const {
    constexpr size_t kMostKinds = 50;
    std::vector<std::pair<size_t, std::string>> kinds;
    for (const auto& [kind, count] : kinds_) kinds.emplace_back(count, kind);
    std::sort(kinds.begin(), kinds.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    for (size_t i = 0; i < std::min(kMostKinds, kinds.size()); ++i)
      fmt::print("{:>7} x {}\n", kinds[i].first, kinds[i].second);
    if (kinds.size() > kMostKinds) fmt::print("        and {} other kinds\n", kinds.size() - kMostKinds);
  }

 private:
  std::set<std::string> said_;
  std::map<std::string, size_t> kinds_;
};

/// "least 0.14, median 0.41, 99 % 0.86, most 2.28; 1183 in all" of lengths that are multiples of 1 / `per_unit`.
std::string Distribution(std::vector<int64_t> lengths, int64_t per_unit) {
  std::sort(lengths.begin(), lengths.end());
  const auto text = [&](int64_t length) {
    return per_unit == 1 ? fmt::format("{}", length)
                         : fmt::format("{:.2f}", static_cast<double>(length) / static_cast<double>(per_unit));
  };
  const auto at = [&](size_t percent) { return text(lengths[(lengths.size() - 1) * percent / 100]); };
  return fmt::format("least {}, median {}, 99 % {}, most {}; {} in all", at(0), at(50), at(99), at(100),
                     text(std::accumulate(lengths.begin(), lengths.end(), int64_t{0})));
}

/// Lengths of all samples of `dataset`, and what they are counted in.
void PrintLengths(const data::Dataset& dataset, int sample_rate) {
  const bool speech = dataset.fields().front().name == "audio";
  std::vector<int64_t> parts, lengths;
  for (uint64_t id = 0; id < dataset.size(); ++id) {
    dataset.Lengths(0, id, parts);
    // A string of recordings is as long as all of them; a pair of sentences counts by its longer side, which batches
    // are padded to.
    lengths.push_back(speech          ? std::accumulate(parts.begin(), parts.end(), int64_t{0})
                      : parts.empty() ? 0
                                      : *std::max_element(parts.begin(), parts.end()));
  }
  fmt::print("  {}: {}\n", speech ? "seconds" : "tokens", Distribution(std::move(lengths), speech ? sample_rate : 1));
}

/// Warns of a transcript that CTC can't align with its recording as it is (augmentation apart).
class CtcCheck {
 public:
  CtcCheck(const data::Dataset& dataset, const data::DataConfig& config, uint64_t seed) : dataset_(dataset) {
    if (dataset.fields().front().name == "audio") transform_ = data::MakeTransform(dataset.fields(), config, seed);
  }

  void operator()(uint64_t id, const data::Sample& sample) {
    if (transform_ == nullptr) return;
    const std::span<const int32_t> labels = sample.tensors.back().As<int32_t>();
    int64_t needed = static_cast<int64_t>(labels.size());
    for (size_t i = 1; i < labels.size(); ++i) needed += labels[i] == labels[i - 1];  // a blank parts equal letters
    dataset_.Lengths(0, id, lengths_);
    const int64_t steps = transform_->SequenceLength(lengths_, 0, id, /*augment=*/false);
    if (needed <= steps) return;
    ++count_;
    fmt::print("warning {}: the transcript needs {} time steps, its recording has {}: no alignment, so no gradient\n",
               dataset_.LineOf(0, id), needed, steps);
    FlushStandardOutput();
  }
  uint64_t count() const { return count_; }

 private:
  const data::Dataset& dataset_;
  std::unique_ptr<data::Transform> transform_;
  std::vector<int64_t> lengths_;
  uint64_t count_ = 0;
};

/// Throws Error(kData) where a sample is a picture that can't be decoded, all of it.
void CheckPicture(const data::Dataset& dataset, const data::Sample& sample, const std::string& path,
                  data::Image& image) {
  const std::string& field = dataset.fields().front().name;
  if (field != "encoded" && field != "pictures") return;
  const std::span<const char> name = sample.tensors[1].As<char>();
  data::DecodeImage(sample.tensors[0].bytes, {}, {std::string(name.begin(), name.end()), path}, image);
}

/// Boxes by class.
void PrintBoxes(const data::Dataset& dataset) {
  if (dataset.fields().front().name != "pictures") return;
  std::vector<uint64_t> counts(static_cast<size_t>(dataset.classes()));
  uint64_t crowds = 0;
  data::SampleSize size;
  for (uint64_t id = 0; id < dataset.size(); ++id) {
    dataset.Measure(0, id, size);
    for (const data::BoxAnnotation& box : size.pictures.front().boxes)
      ++(box.crowd ? crowds : counts[static_cast<size_t>(box.category)]);
  }
  fmt::print("  boxes:");
  const std::vector<std::string>& names = dataset.traits().class_names;
  for (size_t i = 0; i < counts.size(); ++i) fmt::print("{} {} {}", i == 0 ? "" : ",", counts[i], names[i]);
  fmt::print("{}\n", crowds > 0 ? fmt::format("; {} of crowds or difficult", crowds) : "");
}

void CheckSplit(const data::Dataset& dataset, const std::string& path, const data::DataConfig& config, uint64_t seed,
                int sample_rate, Complaints& complaints) {
  fmt::print("{}: {} samples", path, dataset.size());
  if (dataset.classes() > 0) fmt::print(", {} classes", dataset.classes());
  fmt::print("\n");
  if (dataset.ragged()) PrintLengths(dataset, sample_rate);
  PrintBoxes(dataset);
  FlushStandardOutput();
  data::Sample sample;
  data::Image image;
  CtcCheck check_alignment(dataset, config, seed);
  for (uint64_t id = 0; id < dataset.size(); ++id) {
    try {
      dataset.Read(0, id, sample);
      CheckPicture(dataset, sample, path, image);
      check_alignment(id, sample);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      complaints.Add(error);
    }
  }
  if (check_alignment.count() > 0) {
    fmt::print(
        "  {} of {} transcripts are longer than their recordings (a smaller data.speech_features.stack gives more "
        "time steps)\n",
        check_alignment.count(), dataset.size());
  }
}

/// Of pictures with boxes: what people should look at.
void WriteSheet(const data::Dataset& train, const std::string& path) {
  if (train.fields().front().name != "pictures" || path.empty()) return;
  WriteFileAtomically(FileSystem::Real(), path, EncodePng(DrawBoxSheet(train)));
  fmt::print("wrote {}: look whether the boxes lie around the objects that they name\n", path);
}

}  // namespace

int CheckData(const data::DataConfig& config, uint64_t seed, const std::string& sheet) {
  constexpr int64_t kDefaultBlock = 256;
  Complaints complaints;
  data::OpenOptions options = data::OptionsOf(config);
  options.tokenizer = data::OpenTokenizer(config);
  if (config.block() == 0) options.block = kDefaultBlock;
  options.speech.on_broken = [&](const Error& error) { complaints.Add(error); };
  options.on_broken = [&](const Error& error) { complaints.Add(error); };
  std::unique_ptr<data::Dataset> train;
  const auto check = [&](const data::Source& source, const std::string& path) -> std::unique_ptr<data::Dataset> {
    try {
      options.training = path == "data.train";
      options.split = options.training && config.has_split() ? &config.split() : nullptr;
      auto dataset = data::OpenDataset(source, path, seed, config.verify(), options);
      CheckSplit(*dataset, path, config, seed, options.speech.sample_rate, complaints);
      if (train) data::CheckCompatible(*train, *dataset, path);
      return dataset;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      complaints.Add(error);
      return nullptr;
    }
  };
  train = check(config.train(), "data.train");
  if (train) {
    options.class_names = train->traits().class_names;
    options.table = train->traits().table;
  }
  if (config.has_validation()) check(config.validation(), "data.validation");
  if (config.has_test()) check(config.test(), "data.test");
  if (train) WriteSheet(*train, sheet);
  if (complaints.count() == 0) {
    fmt::print("every sample can be read\n");
    return 0;
  }
  fmt::print("{} broken\n", complaints.count());
  complaints.PrintKinds();
  return ExitCodeOf(ErrorKind::kData);
}

void AddDataCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("data", "Check data, and pack pictures, without MPI");
  command->require_subcommand(1);
  CLI::App* check =
      command->add_subcommand("check", "Count and read every sample; exit 0 (good) or 3 (something is broken)");
  auto options = std::make_shared<DataCheckOptions>();
  check->add_option("RECIPE", options->recipe, "The recipe")->required();
  check->add_option("--set", options->settings, "PATH=VALUE: sets a field of the recipe")->allow_extra_args(false);
  check->add_option("--sheet", options->sheet,
                    "of pictures with boxes: the file of a few of them with boxes drawn (default: NAME-boxes.png)");
  const std::string footer =
      "Names every file that is missing or broken, not only the first.\n"
      "Example:\n  lockstep data check examples/digits.textproto";
  check->footer(footer);
  command->footer(footer);
  AddDataPackCommand(*command, exit_code);
  check->callback([options, exit_code] {
    const Recipe recipe = ReadRecipe(options->recipe, options->settings);
    if (!recipe.data().has_train())
      throw Error(ErrorKind::kUsage, "is missing", "data.train",
                  "say where the training data lie: see lockstep help recipe");
    const std::string sheet = options->sheet.empty() ? recipe.name() + "-boxes.png" : options->sheet;
    *exit_code = CheckData(recipe.data(), recipe.train().seed(), sheet);
  });
}

}  // namespace lockstep::launch
