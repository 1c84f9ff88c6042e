// SentencePiece's models as a Tokenizer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "data/text/tokenizer.h"

namespace lockstep::data {

/// OpenSentencePiece's file, as bytes; the path is for messages. Throws as that does.
std::unique_ptr<Tokenizer> ReadSentencePiece(std::string_view bytes, const std::string& path);

}  // namespace lockstep::data
