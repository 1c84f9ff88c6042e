// SentencePiece's models as a Tokenizer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// A SentencePiece model of type BPE or unigram. What the vocabulary lacks is its unknown piece, a run of such
/// characters one; or bytes, where it has byte pieces. A byte that is no UTF-8 is U+FFFD. Throws Error(kData) where the
/// file is missing or damaged, and Error(kUsage) for what is not supported.
std::unique_ptr<Tokenizer> OpenSentencePiece(const std::string& model_path);

/// The same of the file's bytes; the path is for messages.
std::unique_ptr<Tokenizer> ReadSentencePiece(std::string_view bytes, const std::string& path);

}  // namespace lockstep::data
