#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "data/audio/recordings.h"
#include "data/open/open_dataset.h"
#include "tests/base/error_of.h"
#include "tests/data/audio/audio_test_files.h"

namespace lockstep::data {
namespace {

/// Opens data.train of a DataConfig in text form; {} stands for the folder.
std::unique_ptr<Dataset> Open(const std::string& config, uint64_t seed = 1, bool training = true) {
  const auto data = ParseText<DataConfig>(config);
  OpenOptions options{.training = training, .speech = MakeSpeechOptions(data)};
  const Source& source = training ? data.train() : data.test();
  return OpenDataset(source, training ? "data.train" : "data.test", seed, Verify::AUTO, options);
}

std::vector<float> AudioOf(const Dataset& dataset, uint64_t epoch, uint64_t id) {
  Sample sample;
  dataset.Read(epoch, id, sample);
  const auto audio = sample.tensors[0].As<float>();
  return {audio.begin(), audio.end()};
}

std::vector<int> IntegersOf(const Dataset& dataset, uint64_t epoch, uint64_t id, size_t field) {
  Sample sample;
  dataset.Read(epoch, id, sample);
  const auto values = sample.tensors[field].As<int32_t>();
  return {values.begin(), values.end()};
}

/// A folder with recordings of two speakers; number i has 100 + i samples, and its number as its words.
class Speech : public testing::Test {
 protected:
  static constexpr int kAnna = 17, kBob = 8;

  Speech() {
    std::string manifest;
    for (int i = 0; i < kAnna + kBob; ++i) {
      const std::string name = fmt::format("{}.wav", i);
      folder_.Write(name, Wav(Noise(100 + i)));
      manifest += fmt::format("{}\t{}\t{}\n", name, i, i < kAnna ? "anna" : "bob");
    }
    folder_.Write("all.tsv", manifest);
  }

  std::string Config(const std::string& speech, const std::string& data = "") const {
    return fmt::format("train {{ speech {{ manifest: '{}' {} }} }} speech_features {{ sample_rate: 8000 }} {}",
                       folder_.Path("all.tsv"), speech, data);
  }

  const TempFolder folder_;
};

TEST_F(Speech, IsOneRecordingASample) {
  const auto dataset = Open(Config(""));
  ASSERT_EQ(dataset->size(), 25u);
  EXPECT_TRUE(dataset->ragged());
  EXPECT_FALSE(dataset->uniform_labels());
  EXPECT_EQ(dataset->classes(), 11) << "ten digits and the blank";
  EXPECT_EQ(AudioOf(*dataset, 0, 12), Noise(112));
  EXPECT_EQ(IntegersOf(*dataset, 3, 12, 1), (std::vector{112}));
  EXPECT_EQ(IntegersOf(*dataset, 3, 12, 2), (std::vector{2, 3})) << "digit d is class d + 1";
  EXPECT_EQ(dataset->labels(0, 12), 2u);
  EXPECT_EQ(dataset->labels(0, 3), 1u);
  EXPECT_EQ(dataset->Reference(0, 12), "12");
  EXPECT_EQ(dataset->TextOf(std::vector<int32_t>{2, 3, 10}), "129");
  std::vector<int64_t> lengths = {1, 2, 3};
  dataset->Lengths(0, 12, lengths);
  EXPECT_EQ(lengths, (std::vector<int64_t>{112}));
}

TEST_F(Speech, IsResampledToTheFeaturesRate) {
  const auto dataset = Open(fmt::format("train {{ speech {{ manifest: '{}' }} }}", folder_.Path("all.tsv")));
  EXPECT_EQ(AudioOf(*dataset, 0, 12).size(), 224u);
  std::vector<int64_t> lengths;
  dataset->Lengths(0, 12, lengths);
  EXPECT_EQ(lengths, (std::vector<int64_t>{224}));
}

/// The recordings that a sample is made of, by its transcript.
std::vector<int> PartsOf(const Dataset& dataset, uint64_t epoch, uint64_t id) {
  std::vector<int> numbers;
  std::istringstream words(dataset.Reference(epoch, id));
  for (int number; words >> number;) numbers.push_back(number);
  return numbers;
}

TEST_F(Speech, JoinsEachRecordingOncePerEpochInStringsOfOneSpeaker) {
  const auto dataset = Open(Config("join { min: 3 max: 5 }"));
  std::set<std::vector<int>> epochs;
  for (uint64_t epoch = 0; epoch < 20; ++epoch) {
    std::vector<int> all;
    int shorter = 0;
    for (uint64_t id = 0; id < dataset->size(); ++id) {
      const std::vector<int> parts = PartsOf(*dataset, epoch, id);
      EXPECT_LE(parts.size(), 5u);
      shorter += parts.size() < 3;
      for (const int part : parts) EXPECT_EQ(part < kAnna, parts[0] < kAnna);
      all.insert(all.end(), parts.begin(), parts.end());
    }
    EXPECT_LE(shorter, 2);
    epochs.insert(all);
    std::sort(all.begin(), all.end());
    for (int i = 0; i < kAnna + kBob; ++i) ASSERT_EQ(all.at(static_cast<size_t>(i)), i) << "epoch " << epoch;
  }
  EXPECT_EQ(epochs.size(), 20u) << "epochs differ";
}

TEST_F(Speech, JoinsAudioLabelsAndLengthsAlike) {
  const auto dataset = Open(Config("join { min: 3 max: 5 }"));
  EXPECT_EQ(dataset->classes(), 12) << "the space, ten digits and the blank";
  for (uint64_t id = 0; id < dataset->size(); ++id) {
    std::vector<float> audio;
    std::vector<int> parts, labels;
    for (const int number : PartsOf(*dataset, 2, id)) {
      const std::vector<float> recording = Noise(100 + number);
      audio.insert(audio.end(), recording.begin(), recording.end());
      parts.push_back(100 + number);
    }
    for (const char letter : dataset->Reference(2, id)) labels.push_back(letter == ' ' ? 1 : letter - '0' + 2);
    EXPECT_EQ(AudioOf(*dataset, 2, id), audio);
    EXPECT_EQ(IntegersOf(*dataset, 2, id, 1), parts);
    EXPECT_EQ(IntegersOf(*dataset, 2, id, 2), labels);
    EXPECT_EQ(dataset->labels(2, id), labels.size());
    std::vector<int64_t> lengths;
    dataset->Lengths(2, id, lengths);
    EXPECT_EQ(lengths, std::vector<int64_t>(parts.begin(), parts.end()));
  }
}

TEST_F(Speech, OfNoEpochIsLongerThanSaid) {
  const std::string speech =
      fmt::format("speech {{ manifest: '{}' join {{ min: 2 max: 4 }} }}", folder_.Path("all.tsv"));
  for (const std::string slice : {"", "skip: 3"}) {
    const auto dataset = Open(fmt::format("train {{ {} {} }} speech_features {{ sample_rate: 8000 }}", speech, slice));
    SampleSize largest;
    std::vector<int64_t> lengths;
    for (uint64_t id = 0; id < dataset->size(); ++id) {
      dataset->MeasureLargest(id, largest);
      const std::vector<int64_t>& most = largest.lengths;
      for (uint64_t epoch = 0; epoch < 40; ++epoch) {
        dataset->Lengths(epoch, id, lengths);
        std::sort(lengths.begin(), lengths.end(), std::greater<>());
        ASSERT_EQ(lengths.size(), most.size());
        for (size_t i = 0; i < lengths.size(); ++i) EXPECT_LE(lengths[i], most[i]);
      }
      EXPECT_TRUE(most[0] == 100 + kAnna - 1 || most[0] == 100 + kAnna + kBob - 1) << most[0];
    }
  }
}

TEST_F(Speech, TakesEachRecordingOncePerRound) {
  const auto dataset = Open(Config("join { min: 2 max: 4 rounds: 3 }"));
  std::map<int, int> counts;
  std::set<std::string> strings;
  for (uint64_t id = 0; id < dataset->size(); ++id) {
    for (const int part : PartsOf(*dataset, 0, id)) ++counts[part];
    strings.insert(dataset->Reference(0, id));
  }
  EXPECT_EQ(counts.size(), 25u);
  for (const auto& [part, count] : counts) EXPECT_EQ(count, 3) << part;
  EXPECT_GT(strings.size(), dataset->size() * 9 / 10) << "rounds differ";
}

TEST_F(Speech, StringsOfASplitForEvaluationsAreTheSameForAllSeeds) {
  const std::string config =
      Config("", fmt::format("alphabet: '0123456789 ' test {{ speech {{ manifest: '{}' join {{ min: 3 max: 5 }} }} }}",
                             folder_.Path("all.tsv")));
  const auto text = [](const Dataset& dataset) {
    std::string text;
    for (uint64_t id = 0; id < dataset.size(); ++id) text += dataset.Reference(0, id) + ";";
    return text;
  };
  EXPECT_EQ(text(*Open(config, 1, false)), text(*Open(config, 2, false)));
  EXPECT_NE(text(*Open(Config("join { min: 3 max: 5 }"), 1)), text(*Open(Config("join { min: 3 max: 5 }"), 2)));
}

TEST_F(Speech, TakesAndLeavesSpeakers) {
  EXPECT_EQ(Open(Config("only_speaker: 'bob'"))->size(), 8u);
  EXPECT_EQ(Open(Config("without_speaker: 'bob'"))->size(), 17u);
  EXPECT_EQ(Open(Config("only_speaker: ['anna', 'bob']"))->size(), 25u);
  ExpectError(ErrorKind::kUsage, {"data.train.speech.only_speaker: there is no speaker \"eve\"", "anna, bob"},
              [&] { Open(Config("only_speaker: 'eve'")); });
  ExpectError(ErrorKind::kUsage, {"data.train.speech.without_speaker: no recordings are left"},
              [&] { Open(Config("without_speaker: ['anna', 'bob']")); });
}

TEST_F(Speech, FingerprintSeesAudioTranscriptsStringsAndAlphabet) {
  std::set<uint64_t> fingerprints = {Open(Config(""))->fingerprint()};
  EXPECT_TRUE(fingerprints.count(Open(Config(""))->fingerprint()));
  for (const auto& config : {Config("join { max: 3 }"), Config("join { max: 4 }"), Config("only_speaker: 'anna'"),
                             Config("", "alphabet: '9876543210'")}) {
    EXPECT_TRUE(fingerprints.insert(Open(config)->fingerprint()).second) << config;
  }
  folder_.Write("3.wav", Wav(Sine(440, 8000, 103)));
  EXPECT_TRUE(fingerprints.insert(Open(Config(""))->fingerprint()).second);
}

TEST_F(Speech, OfASliceIsThatOfTheWhole) {
  const std::string manifest = folder_.Path("all.tsv");
  const auto slice = Open(fmt::format("train {{ speech {{ manifest: '{}' }} skip: 5 limit: 3 }}", manifest));
  EXPECT_EQ(slice->size(), 3u);
  EXPECT_TRUE(slice->ragged());
  EXPECT_EQ(slice->Reference(0, 1), "6");
  std::vector<int64_t> lengths;
  slice->Lengths(0, 1, lengths);
  EXPECT_EQ(lengths, (std::vector<int64_t>{212}));
  EXPECT_EQ(slice->classes(), 11);
}

TEST_F(Speech, LettersOutsideTheAlphabetAreNamed) {
  folder_.Write("all.tsv", "0.wav\tone\n1.wav\tz\xC3\xA9ro\n");
  ExpectError(ErrorKind::kData, {"all.tsv:2: the transcript has U+00E9 '\xC3\xA9'", "data.alphabet"},
              [&] { Open(Config("", "alphabet: 'zeron'")); });
  EXPECT_EQ(Open(Config(""))->classes(), 7);
  ExpectError(ErrorKind::kUsage, {"data.alphabet: has U+006E 'n' twice"}, [&] { Open(Config("", "alphabet: 'non'")); });
  ExpectError(ErrorKind::kUsage, {"data.alphabet: strings have spaces"},
              [&] { Open(Config("join { max: 2 }", "alphabet: 'zeron\xC3\xA9'")); });
}

TEST_F(Speech, WithoutALetterIsRefused) {
  folder_.Write("all.tsv", "0.wav\t\n1.wav\t\n2.wav\tone\n");
  EXPECT_EQ(Open(Config(""))->size(), 3u);
  ExpectError(ErrorKind::kData, {"data.train: all of its transcripts are empty"}, [&] {
    Open(fmt::format("train {{ speech {{ manifest: '{}' }} limit: 2 }} alphabet: 'one'", folder_.Path("all.tsv")));
  });
}

TEST_F(Speech, SamplesKnowTheirLines) { EXPECT_EQ(Open(Config(""))->LineOf(0, 6), folder_.Path("all.tsv:7")); }

TEST_F(Speech, RecordingsNeedNoManifest) {
  ArchiveCache archives;
  const auto open = [&](const std::string& path) {
    return OpenRecording({.path = path, .transcript = "", .speaker = "", .line = 0},
                         {.manifest = {"", ""}, .sample_rate = 8000}, archives);
  };
  EXPECT_EQ(open(std::filesystem::relative(folder_.Path("3.wav")))->length, 103);
  const auto expect = [&](const std::string& path, const std::string& message) {
    const Error error = ErrorOf([&] { open(path); });
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_TRUE(std::string(error.what()).starts_with(message)) << error.what();
    EXPECT_EQ(std::string(error.what()).find("manifest"), std::string::npos) << error.what();
  };
  const std::string text = folder_.Write("text.wav", "this is no audio, however long it may be");
  expect(text, text + ": the audio can't be read");
  expect(folder_.Path("none.wav"), "there is no file " + folder_.Path("none.wav"));
  expect(folder_.Path("none.tar:a.wav"), "INPUT: there is no file " + folder_.Path("none.tar"));
}

TEST_F(Speech, BrokenFilesAreNamedAtOpening) {
  const auto expect = [&](const std::string& name, const std::vector<std::string>& parts) {
    folder_.Write("all.tsv", "0.wav\tone\n" + name + "\ttwo\n");
    ExpectError(ErrorKind::kData, parts, [&] { Open(Config("")); });
  };
  expect("missing.wav", {"all.tsv:2: there is no file", "missing.wav", "manifest"});
  folder_.Write("text.wav", "this is no audio, however long it may be");
  expect("text.wav", {"all.tsv:2: ", "text.wav: the audio can't be read"});
  folder_.Write("empty.wav", "");
  expect("empty.wav", {"all.tsv:2: ", "empty.wav: the file is empty"});
  folder_.Write("cut.wav", Wav(Noise(100)).substr(0, 200));
  expect("cut.wav", {"all.tsv:2: ", "cut.wav: the file is cut off"});
  std::filesystem::create_directory(folder_.Path("folder.wav"));
  expect("folder.wav", {"all.tsv:2: ", "folder.wav"});
  folder_.Write("x.tar", TarMember("a.wav", Wav(Noise(100))) + TarEnd());
  expect("x.tar:b.wav",
         {"all.tsv:2: ", "x.tar:b.wav: there is no such member among the archive's 1", "the first is a.wav"});
  expect("y.tar:b.wav", {"all.tsv:2: there is no file", "y.tar", "get the file, or name another)"});
  folder_.Write("z.tar.gz", Gzip(TarMember("a.wav", Wav(Noise(100))).substr(0, 600)));
  expect("z.tar.gz:a.wav", {"z.tar.gz: the archive is damaged or cut off"});
}

TEST_F(Speech, BrokenFilesAreAllToldOfWhereSomebodyListens) {
  folder_.Write("all.tsv",
                "0.wav\tone\nmissing.wav\ttwo\nno.tar:a\tone\nno.tar:b\tone\n1.wav\ttwo\ncut.wav\tone\n2.wav\tTWO\n");
  folder_.Write("cut.wav", Wav(Noise(100)).substr(0, 200));
  const auto data = ParseText<DataConfig>(Config("", "alphabet: 'onetw'"));
  OpenOptions options{.training = true, .speech = MakeSpeechOptions(data)};
  std::vector<std::string> told;
  options.speech.on_broken = [&](const Error& error) { told.push_back(error.what()); };
  const auto dataset = OpenDataset(data.train(), "data.train", 1, Verify::AUTO, options);
  EXPECT_EQ(dataset->size(), 2u);
  EXPECT_EQ(dataset->Reference(0, 1), "two");
  ASSERT_EQ(told.size(), 4u);
  EXPECT_THAT(told[0], testing::HasSubstr("all.tsv:2: there is no file"));
  EXPECT_THAT(told[1], testing::HasSubstr("no.tar"));
  EXPECT_THAT(told[2], testing::HasSubstr("all.tsv:6: "));
  EXPECT_THAT(told[3], testing::HasSubstr("all.tsv:7: the transcript has U+0054 'T'"));
}

TEST_F(Speech, FilesThatBreakLaterAreNamedWhenTheyAreRead) {
  const auto dataset = Open(Config(""));
  folder_.Write("3.wav", Wav(Noise(50)));
  std::filesystem::remove(folder_.Path("4.wav"));
  Sample sample;
  ExpectError(ErrorKind::kData, {"all.tsv:4: ", "3.wav: the file was changed"}, [&] { dataset->Read(0, 3, sample); });
  ExpectError(ErrorKind::kData, {"all.tsv:5: ", "4.wav"}, [&] { dataset->Read(0, 4, sample); });
}

TEST_F(Speech, ReadsMembersOfArchivesAndJsonAndTheVariable) {
  folder_.Write("x.tar.gz",
                Gzip(TarMember("d/a.wav", Wav(Noise(77))) + TarMember("d/b.wav", Wav(Noise(88), 16000)) + TarEnd()));
  folder_.Write("all.tsv", fmt::format("{{\"audio\": \"x.tar.gz:d/a.wav\", \"text\": \"one\"}}\n"
                                       "{{\"audio\": \"{}:d/b.wav\", \"text\": \"two\"}}\n",
                                       folder_.Path("x.tar.gz")));
  const auto dataset = Open(Config(""));
  ASSERT_EQ(dataset->size(), 2u);
  EXPECT_EQ(AudioOf(*dataset, 0, 0), Noise(77));
  EXPECT_EQ(AudioOf(*dataset, 0, 1).size(), 44u);
  EXPECT_EQ(dataset->Reference(0, 1), "two");
}

TEST_F(Speech, BesideSamplesThatAreNoneIsRefused) {
  ExpectError(ErrorKind::kUsage, {"data.alphabet: is for recordings"},
              [] { MakeSpeechOptions(ParseText<DataConfig>("train { synthetic { features: 2 } } alphabet: 'a'")); });
  const auto source = ParseText<Source>("speech { manifest: '/nowhere' }");
  ExpectError(ErrorKind::kUsage, {"data.test.speech: the samples of data.train are no recordings"},
              [&] { OpenDataset(source, "data.test", 1, Verify::AUTO, {}); });
  ExpectError(ErrorKind::kUsage, {"data.train.speech.manifest: the file is not named"},
              [] { MakeSpeechOptions(ParseText<DataConfig>("train { speech {} }")); });
  ExpectError(ErrorKind::kUsage, {"data.train.speech.join.max: 2 is not between min (3)"},
              [&] { Open(Config("join { min: 3 max: 2 }")); });
}

/// The digits that people train on, where they are.
TEST(SpokenDigits, AreThreeThousandRecordings) {
  if (RealData().empty()) GTEST_SKIP() << "LOCKSTEP_DATA is not set";
  const std::string folder = LOCKSTEP_SOURCE_DIR "/examples/data/";
  const std::string config =
      "alphabet: ' abcdefghijklmnopqrstuvwxyz' speech_features { sample_rate: 8000 } train { speech { manifest: '" +
      folder + "fsdd-train.tsv' } } test { speech { manifest: '" + folder +
      "fsdd-test.tsv' join { min: 3 max: 5 rounds: 5 } } }";
  const auto train = Open(config), test = Open(config, 1, false);
  EXPECT_EQ(train->size(), 2700u);
  EXPECT_EQ(train->classes(), 28);
  uint64_t words = 0;
  for (uint64_t id = 0; id < test->size(); ++id) {
    Sample sample;
    test->Read(0, id, sample);
    words += sample.tensors[1].As<int32_t>().size();
  }
  EXPECT_EQ(words, 1500u);
}

}  // namespace
}  // namespace lockstep::data
