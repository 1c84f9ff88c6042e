// From texts to the files of token ids that token_files.h reads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/text/text_parts.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

struct WriteTokenOptions {
  TextPartsOptions parts = {};
  int threads = 1;  ///< that encode; the file doesn't hang on it
  /// Called now and then: bytes of the texts' files that are done, and tokens written.
  std::function<void(uint64_t bytes, uint64_t tokens)> on_progress = nullptr;
};

struct WrittenTokens {
  uint64_t tokens = 0;
  uint64_t unknown = 0;  ///< of these, that stand for what the vocabulary lacks
  uint64_t bytes = 0;    ///< of text
  int width = 2;         ///< bytes of an id
};

/// Writes the tokens of all `texts` (files, each maybe gzipped), one after the other, to `path`: 16-bit ids and nothing
/// else (nanoGPT's .bin), or where the vocabulary has more than 65,536, 32-bit ids behind llm.c's header. Texts and
/// tokens may be larger than memory. The file is whole or not there at all. Throws Error(kData) for what is wrong with
/// a text, where there are no tokens, and where 32-bit ids are more than the header can say.
WrittenTokens WriteTokenFile(const std::vector<std::string>& texts, const Tokenizer& tokenizer, const std::string& path,
                             const WriteTokenOptions& options = {});

}  // namespace lockstep::data
