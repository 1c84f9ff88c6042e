#include "data/audio/decode.h"

#include <sndfile.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>

namespace lockstep::data {
namespace {

Error BadAudio(std::string message) { return Error(ErrorKind::kData, std::move(message)); }

/// libsndfile's view of a file. Nothing may be thrown through its frames: errors wait in `failure`.
struct Stream {
  const ReadableFile& file;
  int64_t at = 0;
  std::exception_ptr failure = nullptr;

  void Rethrow() const {
    if (failure) std::rethrow_exception(failure);
  }
};

Stream& StreamOf(void* user) { return *static_cast<Stream*>(user); }

sf_count_t Length(void* user) { return static_cast<sf_count_t>(StreamOf(user).file.size()); }

sf_count_t Seek(sf_count_t offset, int whence, void* user) {
  Stream& stream = StreamOf(user);
  const int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? stream.at : Length(user);
  int64_t to = 0;
  if (__builtin_add_overflow(base, offset, &to) || to < 0) return -1;
  return stream.at = to;
}

sf_count_t ReadBytes(void* to, sf_count_t count, void* user) {
  Stream& stream = StreamOf(user);
  const int64_t wanted = std::clamp<int64_t>(Length(user) - stream.at, 0, std::max<int64_t>(count, 0));
  if (wanted == 0 || stream.failure) return 0;
  try {
    stream.file.ReadAt(static_cast<uint64_t>(stream.at), {static_cast<std::byte*>(to), static_cast<size_t>(wanted)});
  } catch (...) {
    stream.failure = std::current_exception();
    return 0;
  }
  stream.at += wanted;
  return wanted;
}

sf_count_t WriteNothing(const void*, sf_count_t, void*) { return 0; }
sf_count_t Tell(void* user) { return StreamOf(user).at; }

struct CloseFile {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using OpenFile = std::unique_ptr<SNDFILE, CloseFile>;

OpenFile Open(Stream& stream, AudioHeader& header) {
  SF_VIRTUAL_IO functions{Length, Seek, ReadBytes, WriteNothing, Tell};
  SF_INFO info{};
  OpenFile file(sf_open_virtual(&functions, SFM_READ, &info, &stream));
  stream.Rethrow();
  if (!file) {
    std::string reason = sf_strerror(nullptr);
    while (reason.ends_with('.') || reason.ends_with('\n')) reason.pop_back();
    throw BadAudio(stream.file.size() == 0 ? "the file is empty" : fmt::format("the audio can't be read: {}", reason));
  }
  // "part" counts in 32 bits: 37 hours at 16 kHz. Files that were written to a pipe may say any length.
  constexpr int64_t kMostFrames = std::numeric_limits<int32_t>::max();
  if (info.frames < 0 || info.frames > kMostFrames) throw BadAudio("its header doesn't say how long it is");
  constexpr int kMostRate = 768000;
  if (info.samplerate < 1 || info.samplerate > kMostRate || info.channels < 1) {
    throw BadAudio(fmt::format("its header says {} Hz and {} channels", info.samplerate, info.channels));
  }
  header = {info.frames, info.samplerate, info.channels};
  return file;
}

uint32_t LittleEndian(const std::byte* bytes) {
  uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

/// Throws where a WAV file's data chunk is longer than the file, or empty though something follows: libsndfile reads
/// what it says is there without a word.
void RequireWholeWav(const ReadableFile& file) {
  constexpr uint64_t kForm = 12, kChunk = 8;
  constexpr uint32_t kUnknown = 0x7FFFF000u;  // what was written to a pipe says at least this
  std::array<std::byte, kForm> form;
  if (file.size() < kForm) return;
  file.ReadAt(0, form);
  if (std::memcmp(form.data(), "RIFF", 4) != 0 || std::memcmp(form.data() + 8, "WAVE", 4) != 0) return;
  uint64_t at = kForm;
  while (at + kChunk <= file.size()) {
    std::array<std::byte, kChunk> chunk;
    file.ReadAt(at, chunk);
    const uint32_t size = LittleEndian(chunk.data() + 4);
    at += kChunk;
    if (std::memcmp(chunk.data(), "data", 4) == 0) {
      if (size == 0 && file.size() > at) {
        throw BadAudio(
            fmt::format("its header says that there is no audio, but {} bytes follow: what wrote it was stopped",
                        file.size() - at));
      }
      if (size < kUnknown && size > file.size() - at) {
        throw BadAudio(fmt::format("the file is cut off: its header says {} bytes of audio, {} are there", size,
                                   file.size() - at));
      }
      return;
    }
    at += uint64_t{size} + size % 2;
  }
}

}  // namespace

AudioHeader ReadAudioHeader(const ReadableFile& file) {
  Stream stream{file};
  AudioHeader header;
  Open(stream, header);
  RequireWholeWav(file);
  if (header.frames == 0) throw BadAudio("it holds no audio: 0 samples");
  return header;
}

void DecodeAudio(const ReadableFile& file, const AudioHeader& expected, std::vector<float>& samples) {
  Stream stream{file};
  AudioHeader header;
  const OpenFile audio = Open(stream, header);
  if (header != expected) throw BadAudio("the file was changed since it was opened");
  const auto channels = static_cast<size_t>(header.channels);
  // What a header says isn't reserved: a damaged one may say anything.
  constexpr size_t kPiece = 16384;
  std::array<float, kPiece> values;
  const size_t frames_of_piece = kPiece / channels;  // libsndfile has up to 1,024 channels
  CHECK(frames_of_piece > 0);
  const float scale = 1.0f / static_cast<float>(channels);
  samples.clear();
  for (;;) {
    const sf_count_t read = sf_readf_float(audio.get(), values.data(), static_cast<sf_count_t>(frames_of_piece));
    stream.Rethrow();
    if (read <= 0) break;
    for (size_t frame = 0; frame < static_cast<size_t>(read); ++frame) {
      float sum = 0;
      for (size_t channel = 0; channel < channels; ++channel) sum += values[frame * channels + channel];
      samples.push_back(channels == 1 ? sum : sum * scale);
    }
    if (static_cast<int64_t>(samples.size()) > expected.frames) break;
  }
  if (static_cast<int64_t>(samples.size()) != expected.frames) {
    throw BadAudio(fmt::format("the audio is damaged or cut off: its header says {} samples, {} can be read",
                               expected.frames, samples.size()));
  }
  const auto bad = std::find_if(samples.begin(), samples.end(), [](float value) { return !std::isfinite(value); });
  if (bad != samples.end()) {
    throw BadAudio(fmt::format("sample {} is no finite number", bad - samples.begin()));
  }
}

}  // namespace lockstep::data
