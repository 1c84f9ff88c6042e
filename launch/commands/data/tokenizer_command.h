// `lockstep tokenizer train INPUT... --pieces N -o FILE`: a SentencePiece model from texts.
#pragma once

#include <string>

#include "data/text/sentencepiece/train_sentencepiece.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::launch {

struct TrainTokenizerOptions {
  data::SentencePieceTraining training;
  std::string kind = "BPE", output;
  bool force = false;
};

/// Trains, writes the model and says how large it is. Throws Error(kUsage) where the file is there and `force` isn't
/// set, and as data::TrainSentencePiece.
int TrainTokenizerCommand(TrainTokenizerOptions options);

}  // namespace lockstep::launch
