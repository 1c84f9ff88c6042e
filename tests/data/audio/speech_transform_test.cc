#include "data/audio/speech_transform.h"

#include <gtest/gtest.h>

#include "data/audio/features.h"
#include "data/audio/speech_augment.h"
#include "data/open/make_transform.h"
#include "data/transform.h"
#include "tests/data/audio/audio_test_files.h"

namespace lockstep::data {
namespace {

const std::vector<Field> kFields = {
    {"audio", DType::kF32, Shape{-1}}, {"part", DType::kI32, Shape{-1}}, {"label", DType::kI32, Shape{-1}, -1}};

std::unique_ptr<Transform> Make(const std::string& config, uint64_t seed = 1) {
  return MakeTransform(kFields, ParseText<DataConfig>(config), seed);
}

template <typename T>
void Put(const std::vector<T>& values, Sample::Tensor& tensor) {
  tensor.shape = Shape{static_cast<int64_t>(values.size())};
  tensor.bytes.resize(values.size() * sizeof(T));
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
}

struct Recordings {
  std::vector<int64_t> lengths;
  std::vector<float> audio;
  Sample sample;

  Recordings(const std::vector<int>& parts, const std::vector<int32_t>& labels) : lengths(parts.begin(), parts.end()) {
    for (const int part : parts) {
      const std::vector<float> recording = Noise(part);
      audio.insert(audio.end(), recording.begin(), recording.end());
    }
    sample.tensors.resize(3);
    Put(audio, sample.tensors[0]);
    Put(std::vector<int32_t>(parts.begin(), parts.end()), sample.tensors[1]);
    Put(labels, sample.tensors[2]);
  }
};

struct Row {
  std::vector<float> features;
  int32_t length = -7;
  std::vector<int32_t> label;
  int32_t label_length = -7;

  Row(int64_t places, int64_t width)
      : features(static_cast<size_t>(places * width), 99.0f), label(static_cast<size_t>(places), 99) {}

  void Fill(const Transform& transform, const Sample& sample, uint64_t epoch, uint64_t id, bool augment) {
    std::vector<std::byte*> rows;
    for (void* row : {static_cast<void*>(features.data()), static_cast<void*>(&length),
                      static_cast<void*>(label.data()), static_cast<void*>(&label_length)})
      rows.push_back(static_cast<std::byte*>(row));
    transform.Apply(sample, epoch, id, augment, static_cast<int64_t>(label.size()), rows);
  }
};

constexpr char kEight[] = "speech_features { sample_rate: 8000 mels: 40 stack: 2 } ";

TEST(SpeechTransform, PadsFeaturesAndLabels) {
  const auto transform = Make(kEight);
  ASSERT_EQ(transform->fields().size(), 4u);
  EXPECT_EQ(transform->fields()[0].shape, (Shape{-1, 80}));
  EXPECT_EQ(transform->fields()[2].padding, -1);
  EXPECT_EQ(transform->fields()[3].padding, -1);
  const Recordings recordings({500, 460}, {3, 1, 2});
  ASSERT_EQ(transform->SequenceLength(recordings.lengths, 0, 0, false), 5);
  Row row(8, 80);
  row.Fill(*transform, recordings.sample, 0, 0, false);
  EXPECT_EQ(row.length, 5);
  EXPECT_EQ(row.label, (std::vector<int32_t>{3, 1, 2, -1, -1, -1, -1, -1}));
  EXPECT_EQ(row.label_length, 3);
  std::vector<float> frames;
  FeatureExtractor(MakeFeatureOptions(ParseText<DataConfig>(kEight).speech_features()))
      .Compute(recordings.audio, frames);
  ASSERT_EQ(frames.size(), 400u);
  for (size_t i = 0; i < row.features.size(); ++i) EXPECT_EQ(row.features[i], i < 400 ? frames[i] : 0.0f) << i;
}

TEST(SpeechTransform, CutsTranscriptsThatAreTooLongForTheRow) {
  const auto transform = Make(kEight);
  const Recordings recordings({100}, {1, 2, 3, 4});
  ASSERT_EQ(transform->SequenceLength(recordings.lengths, 0, 0, false), 1);
  Row row(3, 80);
  row.Fill(*transform, recordings.sample, 0, 0, false);
  EXPECT_EQ(row.length, 1);
  EXPECT_EQ(row.label, (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(row.label_length, 4);
}

TEST(SpeechTransform, HasAsManyPlacesAsItSaysWhateverIsDrawn) {
  const auto transform = Make(std::string(kEight) + "augment { speed { min: 0.85 max: 1.15 } }");
  std::set<int64_t> seen;
  for (uint64_t id = 0; id < 300; ++id) {
    const Recordings recordings({3000 + static_cast<int>(id), 40, 2777}, {1});
    const int64_t places = transform->SequenceLength(recordings.lengths, id % 5, id, true);
    EXPECT_LE(places, transform->LongestSequence(recordings.lengths));
    EXPECT_EQ(transform->SequenceLength(recordings.lengths, id % 5, id, false),
              ((5817 + static_cast<int64_t>(id) - 200) / 80 + 1) / 2);
    Row row(places, 80);
    row.Fill(*transform, recordings.sample, id % 5, id, true);
    EXPECT_EQ(row.length, places);
    seen.insert(places);
  }
  EXPECT_GT(seen.size(), 5u);
}

TEST(SpeechTransform, MostPlacesHoldForFasterSpeech) {
  const auto transform = Make(std::string(kEight) + "augment { speed { min: 1.5 max: 2 } }");
  EXPECT_EQ(transform->LongestSequence(std::vector<int64_t>{8000}),
            transform->SequenceLength(std::vector<int64_t>{8000}, 0, 0, false));
}

TEST(SpeechTransform, AugmentsEachRecordingByItsOwnDraws) {
  const std::string text =
      std::string(kEight) + "augment { speed { min: 0.85 max: 1.15 } mask_bands { count: 2 width: 6 } noise: 0.1 }";
  const auto transform = Make(text);
  const Augment augment = ParseText<DataConfig>(text).augment();
  const Recordings recordings({3000, 2777}, {1});
  const SampleKey key{.seed = 1, .epoch = 4, .id = 9};
  std::vector<float> audio, frames;
  for (size_t part = 0; part < 2; ++part) {
    const size_t begin = audio.size();
    AppendAtSpeed(Noise(part == 0 ? 3000 : 2777), DrawSpeed(augment, key, part), audio);
    AddNoise(augment, key, begin, std::span(audio).subspan(begin));
  }
  FeatureExtractor(MakeFeatureOptions(ParseText<DataConfig>(kEight).speech_features())).Compute(audio, frames);
  Mask(augment, key, 40, frames);
  const int64_t places = transform->SequenceLength(recordings.lengths, 4, 9, true);
  Row row(places, 80), other(transform->LongestSequence(recordings.lengths), 80),
      plain(transform->LongestSequence(recordings.lengths), 80);
  row.Fill(*transform, recordings.sample, 4, 9, true);
  frames.resize(row.features.size());
  EXPECT_EQ(row.features, frames);
  other.Fill(*transform, recordings.sample, 5, 9, true);
  plain.Fill(*transform, recordings.sample, 4, 9, false);
  EXPECT_NE(std::vector<float>(other.features.begin(), other.features.begin() + 800),
            std::vector<float>(frames.begin(), frames.begin() + 800));
  EXPECT_EQ(plain.length, 35);
}

TEST(SpeechTransform, RefusesWhatIsForOthers) {
  ExpectError(ErrorKind::kUsage, {"data.normalize"}, [] { Make("normalize { scale: 2 }"); });
  ExpectError(ErrorKind::kUsage, {"data.augment.flip"}, [] { Make("augment { flip: true }"); });
  const std::vector<Field> features = {{"features", DType::kF32, Shape{3}}, {"label", DType::kI32, Shape{}}};
  ExpectError(ErrorKind::kUsage, {"data.augment: speed, masks and noise"},
              [&] { MakeTransform(features, ParseText<DataConfig>("augment { noise: 0.1 }"), 1); });
}

}  // namespace
}  // namespace lockstep::data
