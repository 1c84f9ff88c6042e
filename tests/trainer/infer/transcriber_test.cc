// Transcripts are what the model says of a recording, whichever way it comes.
#include "trainer/infer/transcriber.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "data/audio/speech_dataset.h"
#include "data/batches/length_classes.h"
#include "data/open/make_transform.h"
#include "tests/base/temporary_folder.h"
#include "tests/data/audio/audio_test_files.h"
#include "tests/trainer/infer/small_model.h"

namespace lockstep::infer {
namespace {

constexpr int kMels = 8, kRate = 8000;

class Transcribing : public testing::Test {
 protected:
  Transcribing()
      : model_(SmallModel::OfSpeech("recurrent { layers: 1 hidden: 6 bidirectional: true }", kMels, 5)),
        trained_(model_.Trained()) {
    config_.mutable_speech_features()->set_sample_rate(kRate);
    config_.mutable_speech_features()->set_mels(kMels);
    speech_.alphabet = std::make_shared<const data::Alphabet>("ab c");
    speech_.sample_rate = kRate;
    speech_.archives = std::make_shared<data::ArchiveCache>();
  }

  Transcriber NewTranscriber(int beam = 1) const { return Transcriber(*trained_, config_, speech_, {.beam = beam}); }
  std::string Write(const std::string& name, const std::string& bytes) const {
    const std::string path = folder_.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  /// The likeliest path's letters as evaluations come to them: from the file as a sample of a split.
  std::string LikeliestFor(const std::string& path) const {
    const auto recording = data::OpenRecording({.path = path, .transcript = "", .speaker = "", .line = 0},
                                               {.manifest = {"", path}, .sample_rate = kRate}, *speech_.archives);
    const auto split =
        data::MakeSpeechDataset({{*recording, "", ""}}, {.alphabet = speech_.alphabet, .sample_rate = kRate});
    const auto transform = data::MakeTransform(split->fields(), config_, 0);
    std::vector<int64_t> lengths;
    split->Lengths(0, 0, lengths);
    const int64_t steps = transform->SequenceLength(lengths, 0, 0, false), row = data::LengthClassOf(steps);
    InferenceProgram program(trained_->graphs().build(1, row).graph, trained_->weights());
    data::Sample sample;
    split->Read(0, 0, sample);
    std::vector<int32_t> label(static_cast<size_t>(row));
    int32_t label_length = 0;
    std::byte* const rows[] = {program.Input<std::byte>("features").data(), program.Input<std::byte>("length").data(),
                               reinterpret_cast<std::byte*>(label.data()), reinterpret_cast<std::byte*>(&label_length)};
    transform->Apply(sample, 0, 0, false, row, rows);
    program.Run();
    const std::span<const float> logits = program.Output<float>("logits");
    std::vector<int32_t> letters;
    int32_t before = 0;
    for (int64_t step = 0; step < steps; ++step) {
      const auto first = logits.begin() + step * 5;
      const auto letter = static_cast<int32_t>(std::max_element(first, first + 5) - first);
      if (letter != 0 && letter != before) letters.push_back(letter);
      before = letter;
    }
    return speech_.alphabet->Decode(letters);
  }

  const TemporaryFolder folder_;
  data::DataConfig config_;
  data::SpeechOptions speech_;
  const SmallModel model_;
  const std::unique_ptr<const TrainedModel> trained_;
};

std::string BytesOf(int samples, int rate = kRate) { return data::Wav(data::Noise(samples), rate); }

TEST_F(Transcribing, OfFilesIsWhatEvaluationsComeTo) {
  Transcriber transcriber = NewTranscriber();
  bool wrote = false;
  for (const auto& [samples, rate] : {std::pair(3000, kRate), {700, kRate}, {9000, 11025}, {3000, kRate}}) {
    const std::string path = Write("recording.wav", BytesOf(samples, rate));
    const Transcript transcript = transcriber.TranscribeFile(path);
    EXPECT_EQ(transcript.text, LikeliestFor(path)) << samples;
    EXPECT_EQ(transcript.text, speech_.alphabet->Decode(transcript.labels));
    EXPECT_LT(transcript.score, 0);
    wrote = wrote || !transcript.text.empty();
  }
  EXPECT_TRUE(wrote) << "a model that writes nothing shows nothing";
}

TEST_F(Transcribing, AFileItsBytesItsSamplesAndAMemberOfAnArchiveAreOneRecording) {
  for (const int rate : {kRate, 16000}) {
    const std::string bytes = BytesOf(4000, rate);
    Transcriber transcriber = NewTranscriber(4);
    const Transcript of_file = transcriber.TranscribeFile(Write("one.wav", bytes));
    const Transcript of_bytes = transcriber.TranscribeBytes(std::as_bytes(std::span(bytes)));
    const std::string end(1024, '\0');
    const std::string archive = Write(fmt::format("all-{}.tar", rate), data::TarMember("one.wav", bytes) + end);
    const Transcript of_member = transcriber.TranscribeFile(archive + ":one.wav");
    for (const Transcript& other : {of_bytes, of_member}) {
      EXPECT_EQ(other.text, of_file.text);
      EXPECT_EQ(other.score, of_file.score);
    }
    if (rate != kRate) continue;
    std::vector<float> samples = data::Noise(4000);  // in the file they are 16-bit numbers
    for (float& sample : samples) sample = static_cast<float>(std::lrint(sample * 32768)) / 32768;
    EXPECT_EQ(transcriber.TranscribeSamples(samples).score, of_file.score);
  }
}

TEST_F(Transcribing, ABadRecordingIsNamedAndTheNextOneAnswered) {
  Transcriber transcriber = NewTranscriber();
  const std::string good = BytesOf(2000), bad = "this is no audio";
  const double before = transcriber.TranscribeBytes(std::as_bytes(std::span(good))).score;
  const auto kind_of = [](const auto& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  EXPECT_EQ(kind_of([&] { transcriber.TranscribeBytes(std::as_bytes(std::span(bad))); }), ErrorKind::kData);
  EXPECT_EQ(kind_of([&] { transcriber.TranscribeBytes({}); }), ErrorKind::kData);
  EXPECT_EQ(kind_of([&] { transcriber.TranscribeFile(Write("bad.wav", bad)); }), ErrorKind::kData);
  EXPECT_EQ(kind_of([&] { transcriber.TranscribeFile(folder_.path() + "/nothing.wav"); }), ErrorKind::kData);
  const std::string fast = BytesOf(2000, 300 * kRate);  // can't be resampled
  EXPECT_EQ(kind_of([&] { transcriber.TranscribeBytes(std::as_bytes(std::span(fast))); }), ErrorKind::kData);
  EXPECT_EQ(transcriber.TranscribeBytes(std::as_bytes(std::span(good))).score, before);
}

}  // namespace
}  // namespace lockstep::infer
