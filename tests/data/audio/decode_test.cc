#include "data/audio/decode.h"

#include <gtest/gtest.h>
#include <sndfile.h>

#include <limits>

#include "data/audio/resample.h"
#include "tests/data/audio/audio_test_files.h"

namespace lockstep::data {
namespace {

/// Header and samples of a file with these bytes.
std::vector<float> Decode(const std::string& bytes, AudioHeader* header = nullptr) {
  const TempFolder folder;
  const auto file = FileSystem::Real().Open(folder.Write("audio", bytes));
  const AudioHeader found = ReadAudioHeader(*file);
  if (header != nullptr) *header = found;
  std::vector<float> samples;
  DecodeAudio(*file, found, samples);
  return samples;
}

/// The bytes of a file that libsndfile writes.
std::string Encode(const std::vector<float>& samples, int format, int rate, int channels) {
  const TempFolder folder;
  SF_INFO info{.frames = 0, .samplerate = rate, .channels = channels, .format = format, .sections = 0, .seekable = 0};
  SNDFILE* const file = sf_open(folder.Path("x").c_str(), SFM_WRITE, &info);
  EXPECT_NE(file, nullptr) << sf_strerror(nullptr);
  // (Given floats, libsndfile scales by 32767 where it writes 16 bits and by 1 / 32768 where it reads them.)
  const int coding = format & SF_FORMAT_SUBMASK;
  const auto count = static_cast<sf_count_t>(samples.size());
  if (coding == SF_FORMAT_PCM_16 || coding == SF_FORMAT_PCM_24) {
    std::vector<int> integers;
    for (const float sample : samples) integers.push_back(static_cast<int>(std::lrint(sample * 0x1p31)));
    sf_write_int(file, integers.data(), count);
  } else {
    sf_write_float(file, samples.data(), count);
  }
  sf_close(file);
  return ReadWholeFile(FileSystem::Real(), folder.Path("x"));
}

TEST(DecodeAudio, ReadsWavAsItIs) {
  AudioHeader header;
  EXPECT_EQ(Decode(Wav({0, 0.5, -1, 32767 / 32768.0f}), &header), (std::vector<float>{0, 0.5, -1, 32767 / 32768.0f}));
  EXPECT_EQ(header, (AudioHeader{4, 8000, 1}));
}

TEST(DecodeAudio, TakesTheMeanOfChannels) {
  AudioHeader header;
  EXPECT_EQ(Decode(Wav({0.5, 0.25, -0.5, 0.5, 1 / 32768.0f, 0}, 44100, 2), &header),
            (std::vector<float>{0.375, 0, 0.5f / 32768}));
  EXPECT_EQ(header, (AudioHeader{3, 44100, 2}));
}

TEST(DecodeAudio, ReadsFlacToTheSameSamplesAsWav) {
  const std::vector<float> samples = Noise(50000);
  AudioHeader header;
  const std::string flac = Encode(samples, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 2);
  EXPECT_EQ(flac.substr(0, 4), "fLaC");
  EXPECT_EQ(Decode(flac, &header), Decode(Wav(samples, 44100, 2)));
  EXPECT_EQ(header, (AudioHeader{25000, 44100, 2}));
}

TEST(DecodeAudio, ReadsOtherWidths) {
  const std::vector<float> samples = Noise(1000);
  for (const int format :
       {SF_FORMAT_WAV | SF_FORMAT_PCM_24, SF_FORMAT_WAV | SF_FORMAT_FLOAT, SF_FORMAT_FLAC | SF_FORMAT_PCM_24,
        SF_FORMAT_AIFF | SF_FORMAT_PCM_16, SF_FORMAT_RF64 | SF_FORMAT_PCM_16}) {
    EXPECT_EQ(Decode(Encode(samples, format, 16000, 1)), samples) << format;
  }
  const std::vector<float> tone = Sine(440, 16000, 16000);
  const std::vector<float> vorbis = Decode(Encode(tone, SF_FORMAT_OGG | SF_FORMAT_VORBIS, 16000, 1));
  ASSERT_EQ(vorbis.size(), tone.size());
  for (size_t i = 1000; i < 15000; ++i) ASSERT_NEAR(vorbis[i], tone[i], 0.05);
}

TEST(DecodeAudio, NamesWhatIsWrong) {
  const std::string wav = Wav(Noise(1000)), flac = Encode(Noise(20000), SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 1);
  const auto expect = [](const std::string& bytes, const std::vector<std::string>& parts) {
    try {
      Decode(bytes);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      for (const std::string& part : parts) EXPECT_NE(error.message().find(part), std::string::npos) << error.message();
    }
  };
  expect("", {"the file is empty"});
  expect("one\ttwo\n", {"the audio can't be read"});
  expect(wav.substr(0, 20), {"the audio can't be read"});
  expect(wav.substr(0, wav.size() - 500), {"the file is cut off", "2000 bytes", "1500 are there"});
  expect(flac.substr(0, flac.size() / 2), {"damaged or cut off", "20000 samples"});
  expect(Wav({}), {"it holds no audio"});
  std::string unfinished = wav;
  unfinished.replace(40, 4, std::string(4, '\0'));  // the data chunk's size, which is written last
  expect(unfinished, {"says that there is no audio, but 2000 bytes follow"});
  std::string damaged = wav;
  damaged[22] = 0;  // channels
  expect(damaged, {""});
  std::vector<float> bad = Noise(100);
  bad[70] = std::numeric_limits<float>::quiet_NaN();
  expect(Encode(bad, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 1), {"sample 70 is no finite number"});
}

TEST(DecodeAudio, ReadsWavFilesFromPipesToTheirEnd) {
  std::string wav = Wav(Noise(1000));
  wav.replace(40, 4, "\xFF\xFF\xFF\xFF");  // the data chunk's size
  EXPECT_EQ(Decode(wav).size(), 1000u);
}

TEST(DecodeAudio, NoticesThatAFileWasChanged) {
  const TempFolder folder;
  const auto header = ReadAudioHeader(*FileSystem::Real().Open(folder.Write("x.wav", Wav(Noise(1000)))));
  const auto file = FileSystem::Real().Open(folder.Write("x.wav", Wav(Noise(999))));
  std::vector<float> samples;
  EXPECT_THROW(DecodeAudio(*file, header, samples), Error);
}

/// The largest difference to a sine away from the ends.
double LargestError(const std::vector<float>& found, double hertz, int rate, double amplitude) {
  const std::vector<float> expected = Sine(hertz, rate, static_cast<int>(found.size()), amplitude);
  double error = 0;
  const size_t edge = found.size() / 10;
  for (size_t i = edge; i < found.size() - edge; ++i) error = std::max(error, std::abs(double{found[i]} - expected[i]));
  return error;
}

TEST(Resample, KeepsTonesBelowTheNewLimit) {
  for (const auto& [from, to] :
       {std::pair{44100, 16000}, {8000, 16000}, {48000, 16000}, {22050, 16000}, {16000, 8000}}) {
    for (const double hertz : {100.0, 1000.0, 3000.0}) {
      const std::vector<float> found = Resample(Sine(hertz, from, from / 2), from, to);
      EXPECT_EQ(found.size(), static_cast<size_t>(to / 2));
      EXPECT_LT(LargestError(found, hertz, to, 0.5), 1e-4) << from << " to " << to << " at " << hertz;
    }
  }
}

TEST(Resample, TakesTonesAboveTheNewLimitAway) {
  const std::vector<float> found = Resample(Sine(10000, 44100, 22050), 44100, 16000);
  EXPECT_LT(LargestError(found, 0, 16000, 0), 1e-4);
}

TEST(Resample, HasTheLengthItSays) {
  for (const int samples : {0, 1, 2, 3, 100, 441, 442, 12345}) {
    for (const auto& [from, to] : {std::pair{44100, 16000}, {8000, 16000}, {16000, 8000}, {11025, 16000}}) {
      const auto found = Resample(Noise(samples), from, to);
      const auto exact = static_cast<int64_t>(std::ceil(static_cast<double>(samples) * to / from));
      EXPECT_EQ(static_cast<int64_t>(found.size()), exact);
      EXPECT_EQ(ResampledLength(samples, from, to), exact);
    }
  }
  EXPECT_NEAR(Resample(std::vector<float>(1000, 0.25f), 8000, 16000)[1000], 0.25, 1e-5);
}

}  // namespace
}  // namespace lockstep::data
