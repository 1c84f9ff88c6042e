// Audio files as numbers, through libsndfile: WAV, FLAC and a score of other formats. WAV and FLAC are decoded to the
// same bits everywhere; the decoders of MP3, Vorbis and Opus may choose code by the CPU.
#pragma once

#include <cstdint>
#include <vector>

#include "base/files/file.h"

namespace lockstep::data {

/// What a file says of itself.
struct AudioHeader {
  int64_t frames = 0;  ///< samples of each channel
  int rate = 0;        ///< Hz
  int channels = 0;

  friend bool operator==(const AudioHeader&, const AudioHeader&) = default;
};

/// Reads no more than the header. Throws Error(kData), without a place, where the file is no audio or holds none, says
/// nothing of its length, or is a WAV file that ends before its header says.
AudioHeader ReadAudioHeader(const ReadableFile& file);

/// The mean of the channels, 1 at full scale; replaces `samples`. Throws Error(kData), without a place, where the file
/// is damaged, isn't what `expected` says any more, or holds a number that is not finite.
void DecodeAudio(const ReadableFile& file, const AudioHeader& expected, std::vector<float>& samples);

}  // namespace lockstep::data
