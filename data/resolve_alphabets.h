// Alphabets that training data decide.
#pragma once

#include "data/data.pb.h"

namespace lockstep::data {

/// Writes the letters of the training data into `config` where it leaves them open: data.alphabet of speech, and those
/// of a character tokenizer. A run that has them in its recipe answers without these data, and whatever becomes of
/// them. Throws as OpenTokenizer and MakeSpeechOptions.
void ResolveAlphabets(DataConfig& config);

}  // namespace lockstep::data
