#include "data/audio/features.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/audio/speech_augment.h"
#include "tests/data/audio/audio_test_files.h"

namespace lockstep::data {
namespace {

const nlohmann::json& Expected() {
  static const nlohmann::json table = [] {
    std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/data/audio/expected_features.json");
    return nlohmann::json::parse(file);
  }();
  return table;
}

SpeechFeatures Config(const std::string& text) { return ParseText<SpeechFeatures>(text); }

TEST(Features, AreThoseOfPyTorch) {
  ASSERT_EQ(Expected()["features"].size(), 3u);
  for (const auto& expected : Expected()["features"]) {
    const FeatureOptions options{.sample_rate = expected["sample_rate"],
                                 .window = expected["window"],
                                 .hop = expected["hop"],
                                 .fft = expected["fft"],
                                 .mels = expected["mels"],
                                 .stack = expected["stack"],
                                 .log_floor = 1e-6f};
    const FeatureExtractor extractor(options);
    const std::vector<float> audio = Noise(expected["samples"]);
    std::vector<float> frames;
    extractor.Compute(audio, frames);
    const int64_t places = extractor.TimeSteps(static_cast<int64_t>(audio.size()));
    ASSERT_EQ(places, expected["shape"][0]);
    ASSERT_EQ(extractor.width(), expected["shape"][1]);
    const std::vector<double> values = expected["values"];
    for (size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(frames[i], values[i], 1e-4) << i;
  }
}

TEST(Features, HaveMeanZeroAndDeviationOneInEachBand) {
  const FeatureExtractor extractor(MakeFeatureOptions(Config("sample_rate: 8000 mels: 40 stack: 2")));
  std::vector<float> frames;
  extractor.Compute(Noise(8000), frames);
  ASSERT_EQ(frames.size(), 98u * 40);
  for (size_t m = 0; m < 40; ++m) {
    double sum = 0, squares = 0;
    for (size_t i = m; i < frames.size(); i += 40) sum += frames[i], squares += double{frames[i]} * frames[i];
    EXPECT_NEAR(sum / 98, 0, 1e-5);
    EXPECT_NEAR(squares / 98, 1, 1e-2);
  }
}

TEST(Features, OfTooLittleAudioAreOneInput) {
  const FeatureExtractor extractor(MakeFeatureOptions(Config("sample_rate: 8000 mels: 40 stack: 2")));
  for (const int samples : {0, 1, 199, 200, 279, 280, 359, 360, 439, 440}) {
    std::vector<float> frames;
    extractor.Compute(Noise(samples), frames);
    EXPECT_EQ(extractor.Frames(samples), samples < 360 ? 2 : samples < 440 ? 3 : 4);
    EXPECT_EQ(extractor.TimeSteps(samples), samples < 440 ? 1 : 2);
    EXPECT_EQ(frames.size(), static_cast<size_t>(extractor.Frames(samples)) * 40);
    for (const float value : frames) EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(Features, OfAToneLieInItsBand) {
  const FeatureExtractor extractor(MakeFeatureOptions(Config("sample_rate: 16000 log_floor: 1e-3")));
  // Silence, then the tone: bands that hear it differ between the halves.
  std::vector<float> audio(8000);
  for (const float value : Sine(1000, 16000, 8000)) audio.push_back(value);
  std::vector<float> frames;
  extractor.Compute(audio, frames);
  // 1000 Hz are 999.99 mel; 82 corners from 0 to 2840.02 mel: above corner 28, peaks are at corners 1 to 80.
  const auto last = frames.size() - 80;
  EXPECT_GT(frames[last + 27], 0.9);
  EXPECT_GT(frames[last + 28], 0.9);
  EXPECT_NEAR(frames[last + 79], 0, 0.5);
}

TEST(Features, OfManyThreadsAreThoseOfOne) {
  const FeatureExtractor extractor(MakeFeatureOptions(Config("")));
  const std::vector<float> audio = Noise(16000);
  std::vector<float> expected;
  extractor.Compute(audio, expected);
  std::vector<std::vector<float>> found(4);
  std::vector<std::thread> threads;
  for (auto& frames : found) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) extractor.Compute(audio, frames);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& frames : found) EXPECT_EQ(frames, expected);
}

TEST(FeatureOptions, HaveDefaults) {
  const FeatureOptions options = MakeFeatureOptions(Config(""));
  EXPECT_EQ(options.sample_rate, 16000);
  EXPECT_EQ(options.window, 400);
  EXPECT_EQ(options.hop, 160);
  EXPECT_EQ(options.fft, 512);
  EXPECT_EQ(options.mels, 80);
  EXPECT_EQ(options.stack, 1);
  EXPECT_EQ(options.log_floor, 1e-6f);
  EXPECT_EQ(MakeFeatureOptions(Config("sample_rate: 22050 window_ms: 12.5")).window, 276);
}

TEST(FeatureOptions, OutOfRangeAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {{"sample_rate: 7", "sample_rate"},
                                                                  {"window_ms: -1", "window_ms"},
                                                                  {"window_ms: nan", "window_ms"},
                                                                  {"hop_ms: 1e9", "hop_ms"},
                                                                  {"mels: 2000", "mels"},
                                                                  {"fft: 256", "fft"},
                                                                  {"fft: 513", "fft"},
                                                                  {"stack: 100", "stack"},
                                                                  {"log_floor: -1", "log_floor"}};
  for (const auto& one : cases) {
    ExpectError(ErrorKind::kUsage, {"data.speech_features." + one.second},
                [&] { MakeFeatureOptions(Config(one.first)); });
  }
}

TEST(Speed, InterpolatesAsPyTorch) {
  ASSERT_EQ(Expected()["speeds"].size(), 5u);
  for (const auto& expected : Expected()["speeds"]) {
    const std::vector<double> values = expected["values"];
    const int samples = expected["samples"];
    std::vector<float> audio = {7};
    AppendAtSpeed(Noise(samples), expected["speed"], audio);
    ASSERT_EQ(audio.size(), values.size() + 1) << expected["speed"];
    EXPECT_EQ(LengthAtSpeed(samples, expected["speed"]), static_cast<int64_t>(values.size()));
    EXPECT_EQ(audio[0], 7);
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(audio[i + 1], values[i], 1e-6);
  }
}

TEST(Speed, IsUniformAndEachRecordingsOwn) {
  const auto augment = ParseText<Augment>("speed { min: 0.85 max: 1.15 }");
  double sum = 0, least = 2, most = 0;
  constexpr int kSamples = 4000;
  for (int i = 0; i < kSamples; ++i) {
    const SampleKey key{.seed = 3, .epoch = static_cast<uint64_t>(i % 7), .id = static_cast<uint64_t>(i)};
    const double speed = DrawSpeed(augment, key, 1);
    EXPECT_NE(speed, DrawSpeed(augment, key, 0));
    EXPECT_EQ(speed, DrawSpeed(augment, key, 1));
    sum += speed, least = std::min(least, speed), most = std::max(most, speed);
  }
  EXPECT_NEAR(sum / kSamples, 1, 0.01);
  EXPECT_GE(least, 0.85);
  EXPECT_LT(least, 0.851);
  EXPECT_LT(most, 1.15);
  EXPECT_GT(most, 1.149);
}

TEST(Masks, CoverZeroToWidthBandsAndFramesAnywhere) {
  const auto augment = ParseText<Augment>("mask_bands { count: 1 width: 6 } mask_frames { count: 1 width: 3 }");
  constexpr size_t kMels = 40, kFrames = 20;
  std::vector<int> widths(7), heights(4), first(kMels), first_frames(kFrames);
  for (uint64_t id = 0; id < 2000; ++id) {
    std::vector<float> frames(kFrames * kMels, 1);
    Mask(augment, {1, 0, id}, kMels, frames);
    std::vector<size_t> bands, rows;
    for (size_t m = 0; m < kMels; ++m) {
      size_t zeros = 0;
      for (size_t f = 0; f < kFrames; ++f) zeros += frames[f * kMels + m] == 0;
      if (zeros == kFrames) bands.push_back(m);
    }
    for (size_t f = 0; f < kFrames; ++f) {
      size_t zeros = 0;
      for (size_t m = 0; m < kMels; ++m) zeros += frames[f * kMels + m] == 0;
      if (zeros == kMels) rows.push_back(f);
    }
    ASSERT_LE(bands.size(), 6u);
    ASSERT_LE(rows.size(), 3u);
    ++widths[bands.size()], ++heights[rows.size()];
    if (!bands.empty()) {
      ++first[bands[0]];
      EXPECT_EQ(bands.back() - bands[0] + 1, bands.size());
    }
    if (!rows.empty()) ++first_frames[rows[0]];
    size_t zeros = 0;
    for (const float value : frames) zeros += value == 0;
    EXPECT_EQ(zeros, bands.size() * kFrames + rows.size() * (kMels - bands.size())) << "something else was set to 0";
  }
  for (const int count : widths) EXPECT_NEAR(count, 2000 / 7.0, 75);
  for (const int count : heights) EXPECT_NEAR(count, 2000 / 4.0, 100);
  EXPECT_GT(first[0], 0);
  EXPECT_GT(first[39], 0);
  EXPECT_GT(first_frames[19], 0);
}

TEST(NoiseOfRecordings, HasTheDeviationAskedFor) {
  const auto augment = ParseText<Augment>("noise: 0.1");
  const std::vector<float> quiet = Sine(440, 8000, 20000, 0.2);
  std::vector<float> noisy = quiet;
  AddNoise(augment, {1, 2, 3}, 100, noisy);
  double sum = 0, squares = 0, lagged = 0;
  for (size_t i = 0; i < quiet.size(); ++i) {
    const double difference = noisy[i] - quiet[i];
    sum += difference, squares += difference * difference;
    if (i > 0) lagged += difference * (noisy[i - 1] - quiet[i - 1]);
  }
  const double deviation = 0.1 * 0.2 / std::sqrt(2.0);
  EXPECT_NEAR(sum / 20000, 0, 4 * deviation / std::sqrt(20000.0));
  EXPECT_NEAR(std::sqrt(squares / 20000), deviation, 0.02 * deviation);
  EXPECT_NEAR(lagged / squares, 0, 0.03);
}

TEST(SpeechAugment, OutOfRangeIsNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"shift: 1", "data.augment.shift"},
      {"flip: true", "data.augment.flip"},
      {"speed { min: 1 max: 0.9 }", "data.augment.speed"},
      {"speed { min: 0.5 }", "data.augment.speed"},
      {"speed { min: nan max: nan }", "data.augment.speed"},
      {"mask_bands { count: 1 width: 41 }", "data.augment.mask_bands"},
      {"mask_frames { count: 1 }", "data.augment.mask_frames"},
      {"noise: -0.1", "data.augment.noise"}};
  for (const auto& one : cases) {
    ExpectError(ErrorKind::kUsage, {one.second}, [&] { CheckSpeechAugment(ParseText<Augment>(one.first), 40); });
  }
}

}  // namespace
}  // namespace lockstep::data
