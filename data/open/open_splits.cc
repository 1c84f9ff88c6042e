#include "data/open/open_splits.h"

#include <fmt/format.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "data/chosen_samples.h"
#include "data/open/class_shares.h"
#include "data/split_samples.h"

namespace lockstep::data {
namespace {

/// Samples of text are cut anew in every epoch, and strings of recordings are joined anew.
void RequireLastingSamples(const DataConfig& config) {
  const Source& source = config.train();
  if (source.has_text() || source.has_tokens())
    throw Error(ErrorKind::kUsage, "text is not dealt out sample by sample", "data.split",
                "give begin and end of data.train and data.validation, as shares of the text");
  if (source.has_speech() && source.speech().has_join())
    throw Error(ErrorKind::kUsage, "strings of recordings are not dealt out", "data.split",
                "give only_speaker or without_speaker, or remove data.train.speech.join");
  for (const bool named :
       {config.split().test() > 0 && config.has_test(), config.split().validation() > 0 && config.has_validation()})
    if (named)
      throw Error(ErrorKind::kUsage, "a part that has data of its own has a share of the training data too",
                  "data.split", "remove the share, or data.test or data.validation");
}

SplitSamples Look(const Dataset& whole, const Split& config, std::vector<int32_t>& labels,
                  std::vector<std::string>& groups) {
  const bool grouped = !config.group().empty(), classes = whole.classes() > 0;
  for (uint64_t id = 0; id < whole.size(); ++id) {
    SampleText text = whole.Describe(0, id);
    if (classes && text.label >= 0) labels.push_back(text.label);
    if (grouped && !text.group.empty()) groups.push_back(std::move(text.group));
  }
  if (labels.size() < whole.size()) labels.clear();
  if (groups.size() < whole.size()) groups.clear();
  return {whole.size(), labels, groups};
}

/// Deals out the samples of splits.train.
void Cut(const Split& config, OpenedSplits& splits) {
  const std::shared_ptr<const Dataset> whole = splits.train;
  std::vector<int32_t> labels;
  std::vector<std::string> groups;
  const std::vector<SplitPart> parts = DealSamples(config, Look(*whole, config, labels, groups));
  const auto choose = [&](SplitPart part, const char* name, bool wanted) -> std::shared_ptr<const Dataset> {
    std::vector<uint64_t> ids;
    for (uint64_t id = 0; id < parts.size(); ++id)
      if (parts[id] == part) ids.push_back(id);
    if (ids.empty() && wanted)
      throw Error(ErrorKind::kUsage, fmt::format("no sample is left for {}", name), "data.split",
                  "raise its share, or give more data");
    if (ids.empty()) return nullptr;
    const uint64_t chosen = Hash64(std::as_bytes(std::span(ids)));
    const uint64_t fingerprint = Hash64(fmt::format("split 1 {} {} {}", whole->fingerprint(), name, chosen));
    return ChooseSamples(whole, std::move(ids), fingerprint);
  };
  splits.train = choose(SplitPart::kTrain, "training", true);
  if (config.validation() > 0) splits.validation = choose(SplitPart::kValidation, "validation", true);
  if (config.test() > 0) splits.test = choose(SplitPart::kTest, "test", true);
}

}  // namespace

OpenOptions OptionsOf(const DataConfig& config) {
  OpenOptions options{.training = true,
                      .classes = static_cast<int>(config.classes()),
                      .class_names = {config.class_names().begin(), config.class_names().end()},
                      .group = config.split().group(),
                      .block = config.block(),
                      .speech = MakeSpeechOptions(config),
                      .longest = config.longest()};
  if (config.has_table()) options.table = std::make_shared<Table>(config.table());
  return options;
}

OpenedSplits OpenSplits(const DataConfig& config, uint64_t seed, OpenOptions options) {
  if (config.has_split()) RequireLastingSamples(config);
  OpenedSplits splits;
  options.split = config.has_split() ? &config.split() : nullptr;
  splits.train = OpenDataset(config.train(), "data.train", seed, config.verify(), options);
  options.split = nullptr;
  options.training = false;
  options.class_names = splits.train->traits().class_names;
  options.table = splits.train->traits().table;
  if (config.has_split()) Cut(config.split(), splits);
  const auto open = [&](const Source& source, const std::string& path) {
    std::shared_ptr<const Dataset> split = OpenDataset(source, path, seed, config.verify(), options);
    CheckCompatible(*splits.train, *split, path);
    return split;
  };
  if (config.has_validation()) splits.validation = open(config.validation(), "data.validation");
  if (config.has_test()) splits.test = open(config.test(), "data.test");
  if (splits.validation) WarnOfClassShares(*splits.train, *splits.validation, "data.validation");
  if (splits.test) WarnOfClassShares(*splits.train, *splits.test, "data.test");
  return splits;
}

}  // namespace lockstep::data
