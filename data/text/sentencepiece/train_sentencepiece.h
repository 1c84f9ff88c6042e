// Training a vocabulary with SentencePiece's own program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::data {

/// What SentencePiece is trained with. Ids that are -1 are left out; the others are 0, 1, ... without holes.
struct SentencePieceTraining {
  enum class Model { kBpe, kUnigram };

  std::vector<std::string> texts;  ///< files of one sentence a line, each maybe gzipped
  int32_t size = 8000;             ///< of the vocabulary, special pieces included
  Model model = Model::kBpe;
  /// The share of the text's characters that get a piece; the rarest others are unknown. 0.9995 suits Chinese or
  /// Japanese.
  double character_coverage = 1.0;
  bool byte_fallback = false;  ///< 256 byte pieces stand for unknown characters
  int32_t padding = 0, begin = 1, end = 2, unknown = 3;
};

/// Trains a vocabulary and writes the model (whole or not at all): the same bytes for the same texts and settings on
/// any machine with the same SentencePiece. Runs the program `spm_train` (Debian's package sentencepiece). Throws
/// Error(kData) where a text is missing or no UTF-8, and Error(kUsage) where the program is missing or refuses the
/// settings.
void TrainSentencePiece(const SentencePieceTraining& training, const std::string& model_path);

}  // namespace lockstep::data
