// Tokenizers without a learnt vocabulary: characters and bytes.
#pragma once

#include <memory>
#include <string_view>

#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// The alphabet is the code points of `corpus`, sorted; a character's id is its rank. Throws Error(kData) where the
/// corpus is empty or no UTF-8.
std::unique_ptr<Tokenizer> MakeCharacterTokenizer(std::string_view corpus);

/// 256 ids: a byte's id is its value. Any bytes go.
std::unique_ptr<Tokenizer> MakeByteTokenizer();

}  // namespace lockstep::data
