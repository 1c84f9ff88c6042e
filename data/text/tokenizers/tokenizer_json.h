// Hugging Face's tokenizer.json as a Tokenizer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// Hugging Face's tokenizer.json with a byte-level BPE: normalizers NFC, NFD, NFKC and NFKD, pre-tokenizers ByteLevel,
/// Split and Digits, added tokens (which a text may name, as there). Post-processor, truncation and padding are not
/// applied: who makes sequences adds what begins, ends and fills them. The file does not say which special tokens these
/// are: end(), begin() and padding() go by the usual names. Throws Error(kData) where the file is missing or damaged,
/// and Error(kUsage) that names what it asks for and is not supported.
std::unique_ptr<Tokenizer> OpenTokenizerJson(const std::string& path);

/// The same of the file's bytes; the path is for messages.
std::unique_ptr<Tokenizer> ReadTokenizerJson(std::string_view json, const std::string& path);

}  // namespace lockstep::data
