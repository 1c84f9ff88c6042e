#include "data/audio/open_speech.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "data/audio/features.h"
#include "data/audio/speech_dataset.h"
#include "data/formats/manifest.h"
#include "data/utf8.h"

namespace lockstep::data {
namespace {

/// Takes away entries of `names` where `take` is false, all others where it is true.
void FilterSpeakers(const google::protobuf::RepeatedPtrField<std::string>& names, bool take, const std::string& field,
                    std::vector<ManifestEntry>& entries) {
  if (names.empty()) return;
  std::set<std::string> known;
  for (const ManifestEntry& entry : entries) known.insert(entry.speaker);
  for (const std::string& name : names) {
    if (known.count(name) > 0) continue;
    constexpr size_t kSome = 8;
    std::vector<std::string> some(known.begin(), known.end());
    if (some.size() > kSome) some.resize(kSome), some.push_back("...");
    const bool unnamed = known.size() == 1 && known.count("") == 1;
    throw Error(ErrorKind::kUsage, fmt::format("there is no speaker \"{}\"", name), field,
                unnamed ? "the manifest names no speakers: give its lines a third column"
                        : fmt::format("there are {}", fmt::join(some, ", ")));
  }
  const std::set<std::string> named(names.begin(), names.end());
  std::erase_if(entries, [&](const ManifestEntry& entry) { return (named.count(entry.speaker) > 0) != take; });
  if (entries.empty()) throw Error(ErrorKind::kUsage, "no recordings are left", field, "leave out fewer speakers");
}

std::vector<ManifestEntry> LoadEntries(const Speech& config, const std::string& field) {
  const Origin origin{config.manifest(), field + ".manifest"};
  if (origin.path.empty())
    throw Error(ErrorKind::kUsage, "the file is not named", origin.field, "set it in the recipe");
  std::vector<ManifestEntry> entries = ReadManifest(LoadSourceFile(origin), origin);
  FilterSpeakers(config.only_speaker(), true, field + ".only_speaker", entries);
  FilterSpeakers(config.without_speaker(), false, field + ".without_speaker", entries);
  for (ManifestEntry& entry : entries) {
    if (config.compose()) entry.transcript = ComposeText(entry.transcript);
    if (config.lower_case()) entry.transcript = LowerCase(entry.transcript);
  }
  return entries;
}

StringPlanOptions JoinOptions(const Join& join, const std::string& field, uint64_t seed) {
  constexpr uint32_t kMostRecordings = 1000, kMostRounds = 1000;
  const uint32_t least = std::max(join.min(), 1u), rounds = std::max(join.rounds(), 1u);
  if (join.max() < least || join.max() > kMostRecordings) {
    throw Error(ErrorKind::kUsage, fmt::format("{} is not between min ({}) and {}", join.max(), least, kMostRecordings),
                field + ".max", "for example join { min: 3 max: 5 }");
  }
  if (rounds > kMostRounds) {
    throw Error(ErrorKind::kUsage, fmt::format("{} is more than {}", rounds, kMostRounds), field + ".rounds",
                "use fewer");
  }
  return {.least = static_cast<int>(least),
          .most = static_cast<int>(join.max()),
          .rounds = static_cast<int>(rounds),
          .seed = seed};
}

}  // namespace

SpeechOptions MakeSpeechOptions(const DataConfig& config) {
  if (!config.train().has_speech()) {
    if (config.has_speech_features() || !config.alphabet().empty()) {
      throw Error(ErrorKind::kUsage, "is for recordings, but the samples of data.train are none",
                  config.alphabet().empty() ? "data.speech_features" : "data.alphabet",
                  "remove it, or set data.train.speech");
    }
    return {};
  }
  SpeechOptions options{.sample_rate = MakeFeatureOptions(config.speech_features()).sample_rate,
                        .archives = std::make_shared<ArchiveCache>()};
  std::string letters = config.alphabet();
  if (letters.empty()) {
    const std::vector<ManifestEntry> entries = LoadEntries(config.train().speech(), "data.train.speech");
    std::vector<std::string_view> transcripts;
    for (const ManifestEntry& entry : entries) transcripts.push_back(entry.transcript);
    if (config.train().speech().join().max() > 1) transcripts.push_back(" ");
    letters = LettersOf(transcripts);
  }
  options.alphabet = std::make_shared<const Alphabet>(letters);
  return options;
}

std::unique_ptr<Dataset> OpenSpeech(const Speech& config, const std::string& field, uint64_t seed, Verify::Value verify,
                                    bool training, const SpeechOptions& options) {
  if (!options.alphabet) {
    throw Error(ErrorKind::kUsage, "the samples of data.train are no recordings", field, "all splits must look alike");
  }
  SpeechDatasetOptions dataset{.alphabet = options.alphabet,
                               .sample_rate = options.sample_rate,
                               .fingerprint = {.seed = seed, .verify = verify}};
  constexpr uint64_t kFixedSeed = 0;  // an evaluation's strings are data: the same for runs with other seeds
  if (config.has_join()) dataset.join = JoinOptions(config.join(), field + ".join", training ? seed : kFixedSeed);
  const RecordingOptions recordings{{config.manifest(), field + ".manifest"}, options.sample_rate};
  std::vector<Utterance> utterances;
  for (ManifestEntry& entry : LoadEntries(config, field)) {
    try {
      auto recording = OpenRecording(entry, recordings, *options.archives);
      if (!recording) continue;
      Utterance utterance{std::move(*recording), std::move(entry.transcript), std::move(entry.speaker)};
      RequireLetters(utterance, *options.alphabet);
      utterances.push_back(std::move(utterance));
    } catch (const Error& error) {
      if (!options.on_broken || error.kind() != ErrorKind::kData) throw;
      options.on_broken(error);
    }
  }
  if (utterances.empty()) {
    throw Error(ErrorKind::kData, "none of its recordings can be opened", config.manifest(),
                "see what was said of each");
  }
  return MakeSpeechDataset(std::move(utterances), dataset);
}

}  // namespace lockstep::data
