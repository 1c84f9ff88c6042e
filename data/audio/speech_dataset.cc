#include "data/audio/speech_dataset.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <unordered_map>

#include "base/error.h"
#include "base/hash.h"
#include "data/utf8.h"

namespace lockstep::data {
namespace {

std::vector<std::vector<uint32_t>> BySpeaker(const std::vector<Utterance>& utterances) {
  std::unordered_map<std::string, size_t> index;
  std::vector<std::vector<uint32_t>> speakers;
  for (uint32_t i = 0; i < utterances.size(); ++i) {
    const auto [speaker, added] = index.try_emplace(utterances[i].speaker, speakers.size());
    if (added) speakers.emplace_back();
    speakers[speaker->second].push_back(i);
  }
  return speakers;
}

/// The lengths of the longest `count` of `recordings`, the longest first.
std::vector<int64_t> LongestOf(const std::vector<uint32_t>& recordings, const std::vector<Utterance>& utterances,
                               size_t count) {
  std::vector<int64_t> lengths;
  for (const uint32_t i : recordings) lengths.push_back(utterances[i].recording.length);
  std::sort(lengths.begin(), lengths.end(), std::greater<>());
  lengths.resize(std::min(lengths.size(), count));
  return lengths;
}

class SpeechDataset final : public Dataset {
 public:
  SpeechDataset(std::vector<Utterance> utterances, const SpeechDatasetOptions& options)
      : utterances_(std::move(utterances)),
        alphabet_(options.alphabet),
        sample_rate_(options.sample_rate),
        fields_{{Field{"audio", DType::kF32, Shape{-1}}, Field{"part", DType::kI32, Shape{-1}},
                 Field{"label", DType::kI32, Shape{-1}, /*padding=*/-1}}},
        traits_{.classes = alphabet_->classes(),
                .labels = 0,
                .ragged = true,
                .resized = options.join.has_value(),
                .text_of = [this](std::span<const int32_t> labels) { return alphabet_->Decode(labels); }} {
    for (const Utterance& utterance : utterances_) {
      CHECK(alphabet_->Encode(utterance.transcript, labels_) == utterance.transcript.size());
      label_ends_.push_back(labels_.size());
    }
    if (options.join) {
      std::vector<std::vector<uint32_t>> speakers = BySpeaker(utterances_);
      for (const std::vector<uint32_t>& recordings : speakers)
        longest_.push_back(LongestOf(recordings, utterances_, static_cast<size_t>(options.join->most)));
      strings_.emplace(std::move(speakers), *options.join);
      std::vector<int32_t> space;
      alphabet_->Encode(" ", space);
      if (!space.empty()) space_ = space[0];
    }
    fingerprint_ = Fingerprint(options);
  }

  uint64_t size() const override { return strings_ ? strings_->size() : utterances_.size(); }
  std::span<const Field> fields() const override { return fields_; }
  const SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override { return fingerprint_; }

  void Measure(uint64_t epoch, uint64_t id, SampleSize& size) const override {
    size.labels = 0;
    size.lengths.clear();
    ForEach(epoch, id, [&](uint32_t i) {
      const uint64_t letters = LabelsOf(i).size();
      size.labels += letters + (size.labels > 0 && letters > 0 ? 1 : 0);
      size.lengths.push_back(utterances_[i].recording.length);
    });
  }

  void MeasureLargest(uint64_t id, SampleSize& size) const override {
    Measure(0, id, size);
    if (!strings_) return;
    const std::vector<int64_t>& longest = longest_[strings_->Speaker(id)];
    size.lengths.assign(longest.begin(), longest.begin() + strings_->Count(id));
  }

  SampleText Describe(uint64_t epoch, uint64_t id) const override {
    SampleText text;
    const Utterance& first = utterances_[strings_ ? strings_->Recording(epoch, id, 0) : id];
    text.line = first.recording.where;
    text.group = first.speaker;
    ForEach(epoch, id, [&](uint32_t i) {
      const std::string& transcript = utterances_[i].transcript;
      if (!text.reference.empty() && !transcript.empty()) text.reference += ' ';
      text.reference += transcript;
    });
    return text;
  }

  void Read(uint64_t epoch, uint64_t id, Sample& sample) const override {
    CHECK(id < size(), "sample {} of {}", id, size());
    std::vector<float> audio, recording;
    std::vector<int32_t> parts, labels;
    ForEach(epoch, id, [&](uint32_t i) {
      ReadRecording(utterances_[i].recording, sample_rate_, recording);
      audio.insert(audio.end(), recording.begin(), recording.end());
      parts.push_back(static_cast<int32_t>(recording.size()));
      const std::span<const int32_t> letters = LabelsOf(i);
      if (!labels.empty() && !letters.empty()) labels.push_back(space_);
      labels.insert(labels.end(), letters.begin(), letters.end());
    });
    sample.tensors.resize(fields_.size());
    sample.tensors[0].Assign(std::span<const float>(audio));
    sample.tensors[1].Assign(std::span<const int32_t>(parts));
    sample.tensors[2].Assign(std::span<const int32_t>(labels));
  }

  /// Whether a sample has several words with a space between them, which is no letter.
  bool lacks_space() const {
    if (!strings_ || space_ > 0) return false;
    for (uint64_t id = 0; id < strings_->size(); ++id) {
      if (strings_->Count(id) > 1) return true;
    }
    return false;
  }

 private:
  /// Calls `action` with each utterance of the sample, in order.
  template <typename F>
  void ForEach(uint64_t epoch, uint64_t id, F&& action) const {
    if (!strings_) return action(static_cast<uint32_t>(id));
    for (int i = 0; i < strings_->Count(id); ++i) action(strings_->Recording(epoch, id, i));
  }

  std::span<const int32_t> LabelsOf(uint32_t i) const {
    const size_t begin = i == 0 ? 0 : label_ends_[i - 1];
    return std::span(labels_).subspan(begin, label_ends_[i] - begin);
  }

  uint64_t Fingerprint(const SpeechDatasetOptions& options) const {
    Hasher hasher;
    const auto add = [&](const std::string& text) {
      hasher.AddInteger(text.size());
      hasher.Add(text);
    };
    add(fmt::format("speech 1 {} {}", sample_rate_, utterances_.size()));
    if (options.join) {
      add(fmt::format("join {} {} {} {}", options.join->least, options.join->most, options.join->rounds,
                      options.join->seed));
    }
    add(alphabet_->letters());
    std::vector<Recording> recordings;
    for (const Utterance& utterance : utterances_) {
      add(utterance.transcript);
      add(utterance.speaker);
      recordings.push_back(utterance.recording);
    }
    hasher.AddInteger(FingerprintOf(recordings, options.fingerprint));
    return hasher.Digest();
  }

  const std::vector<Utterance> utterances_;
  const std::shared_ptr<const Alphabet> alphabet_;
  const int sample_rate_;
  const std::array<Field, 3> fields_;
  const SourceTraits traits_;
  std::vector<int32_t> labels_;     ///< of all utterances
  std::vector<size_t> label_ends_;  ///< by utterance
  std::optional<StringPlan> strings_;
  std::vector<std::vector<int64_t>> longest_;  ///< by speaker of strings: lengths of as many as a string may hold
  int32_t space_ = 0;                          ///< its class; 0 where it is no letter
  uint64_t fingerprint_ = 0;
};

}  // namespace

void RequireLetters(const Utterance& utterance, const Alphabet& alphabet) {
  std::vector<int32_t> labels;
  const size_t good = alphabet.Encode(utterance.transcript, labels);
  if (good == utterance.transcript.size()) return;
  throw Error(ErrorKind::kData,
              fmt::format("the transcript has {}, which is no letter of the alphabet",
                          NameCharacter(utterance.transcript, good)),
              utterance.recording.where,
              "add it to data.alphabet (by default the training transcripts' letters), or correct the transcript");
}

std::unique_ptr<Dataset> MakeSpeechDataset(std::vector<Utterance> utterances, const SpeechDatasetOptions& options) {
  CHECK(!utterances.empty() && options.alphabet && options.sample_rate > 0);
  auto dataset = std::make_unique<SpeechDataset>(std::move(utterances), options);
  if (dataset->lacks_space()) {
    throw Error(ErrorKind::kUsage, "strings have spaces between words, but the space is no letter", "data.alphabet",
                "set it to all letters with a space among them");
  }
  return dataset;
}

}  // namespace lockstep::data
