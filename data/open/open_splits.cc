#include "data/open/open_splits.h"

#include <fmt/format.h>

#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "data/chosen_samples.h"
#include "data/open/class_shares.h"
#include "data/split_samples.h"

namespace lockstep::data {
namespace {

void RequireNoOtherData(const DataConfig& config) {
  for (const bool named :
       {config.split().test() > 0 && config.has_test(), config.split().validation() > 0 && config.has_validation()})
    if (named)
      throw Error(ErrorKind::kUsage, "a part that has data of its own has a share of the training data too",
                  "data.split", "remove the share, or data.test or data.validation");
}

/// Parts of a text, or of files of tokens: validation and test are its end, one piece each.
template <typename T>
void CutText(const Split& split, const T& whole, T& train, T& validation, T& test) {
  for (const auto& [given, field] : {std::pair{split.stratified(), "data.split.stratified"},
                                     {split.seed() != 0, "data.split.seed"},
                                     {!split.group().empty(), "data.split.group"}})
    if (given)
      throw Error(ErrorKind::kUsage, "a text is cut into pieces: the first to train on, then validation, then test",
                  field, "remove it");
  const double begin = whole.begin(), end = whole.has_end() ? whole.end() : 1, length = end - begin;
  const double trained = end - (split.validation() + split.test()) * length, validated = end - split.test() * length;
  if (split.test() < 0 || split.validation() < 0 || !(trained > begin))
    throw Error(ErrorKind::kUsage, "the shares leave nothing to train on", "data.split", "lower test or validation");
  train.set_end(trained);
  validation.set_begin(trained);
  validation.set_end(validated);
  test.set_begin(validated);
}

/// Speakers by part, of strings of recordings, which are joined anew in every epoch.
void CutSpeakers(const Split& split, const Dataset& recordings, Source& train, Source& validation, Source& test) {
  std::vector<std::string> speakers;
  for (uint64_t id = 0; id < recordings.size(); ++id) speakers.push_back(recordings.Describe(0, id).group);
  const std::vector<SplitPart> parts = DealSamples(split, {recordings.size(), {}, speakers});
  for (Source* source : {&train, &validation, &test}) source->mutable_speech()->clear_only_speaker();
  for (std::set<std::string> seen; const auto& speaker : speakers) {
    if (!seen.insert(speaker).second) continue;
    const SplitPart part = parts[static_cast<size_t>(&speaker - speakers.data())];
    Source& source = part == SplitPart::kTrain ? train : part == SplitPart::kValidation ? validation : test;
    source.mutable_speech()->add_only_speaker(speaker);
  }
  for (const auto& [source, wanted, name] : {std::tuple{&train, true, "training"},
                                             {&validation, split.validation() > 0, "validation"},
                                             {&test, split.test() > 0, "test"}})
    if (wanted && source->speech().only_speaker().empty())
      throw Error(ErrorKind::kUsage, fmt::format("no speaker is left for {}", name), "data.split",
                  "raise its share, or name speakers by only_speaker and without_speaker");
}

/// Whether parts of the source are sources of their own, because its samples differ from epoch to epoch.
bool HasPartsByFields(const Source& source) {
  return source.has_text() || source.has_tokens() || (source.has_speech() && source.speech().has_join());
}

/// `config` with data.validation and data.test in the place of data.split.
DataConfig WithPartsByFields(const DataConfig& config, uint64_t seed, const OpenOptions& options) {
  DataConfig result = config;
  result.clear_split();
  const Source& whole = config.train();
  for (const bool cut : {whole.limit() > 0, whole.skip() > 0})
    if (cut)
      throw Error(ErrorKind::kUsage, "limit and skip are given beside it", "data.split", "remove them from data.train");
  Source train = whole, validation = whole, test = whole;
  if (whole.has_text()) {
    CutText(config.split(), whole.text(), *train.mutable_text(), *validation.mutable_text(), *test.mutable_text());
  } else if (whole.has_tokens()) {
    CutText(config.split(), whole.tokens(), *train.mutable_tokens(), *validation.mutable_tokens(),
            *test.mutable_tokens());
  } else {
    if (config.split().group() != "speaker")
      throw Error(ErrorKind::kUsage, "strings of recordings are dealt out by their speakers alone", "data.split.group",
                  R"(set it to "speaker", or remove data.train.speech.join)");
    Source recordings = whole;
    recordings.mutable_speech()->clear_join();
    const std::shared_ptr<const Dataset> apart = OpenDataset(recordings, "data.train", seed, config.verify(), options);
    CutSpeakers(config.split(), *apart, train, validation, test);
  }
  *result.mutable_train() = train;
  if (config.split().validation() > 0) *result.mutable_validation() = validation;
  if (config.split().test() > 0) *result.mutable_test() = test;
  return result;
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
  if (config.has_split()) RequireNoOtherData(config);
  if (config.has_split() && HasPartsByFields(config.train()))
    return OpenSplits(WithPartsByFields(config, seed, options), seed, options);
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
