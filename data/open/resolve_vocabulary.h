// What a run keeps of the vocabulary that it is trained with.
#pragma once

#include <memory>

#include "data/data.pb.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// Writes into `config` what it leaves open: the letters of the training data (data.alphabet of speech, and those of a
/// character tokenizer), and the fingerprint of a tokenizer that files hold. A run that has them in its recipe answers
/// without the data, whatever becomes of them, and notices another file in the tokenizer's place. Returns
/// what OpenTokenizer does. Throws as it and MakeSpeechOptions.
std::shared_ptr<const Tokenizer> ResolveVocabulary(DataConfig& config);

}  // namespace lockstep::data
