// GPT-2's files of byte-level BPE vocabularies, and what other files of such vocabularies are read with.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "data/text/tokenizers/byte_level_tokenizer.h"

namespace lockstep::data {

/// GPT-2's byte-level BPE from `vocab.json` (or encoder.json) and `merges.txt` (or vocab.bpe), each maybe gzipped.
/// Special tokens in a text are text here; end() is <|endoftext|>. Bytes that are no UTF-8 are words of their own, and
/// come back from Decode. Throws Error(kData) where a file is missing or damaged.
std::unique_ptr<Tokenizer> OpenByteLevelBpe(const std::string& vocabulary_path, const std::string& merges_path);

/// The same of the files' bytes; paths are for messages.
std::unique_ptr<Tokenizer> ReadByteLevelBpe(std::string_view vocabulary, const std::string& vocabulary_path,
                                            std::string_view merges, const std::string& merges_path);

/// Tokens as their files write them, and the merges that were read so far.
class VocabularyReader {
 public:
  /// Why a token or a merge is no good, in words.
  struct Problem {
    std::string message;
  };

  /// Throws Problem.
  void AddToken(std::string_view token, int64_t id);
  void AddMerge(std::string_view left, std::string_view right);

  /// -1 where there is none.
  int32_t Find(std::string_view token) const;
  BpeVocabulary Take() { return std::move(vocabulary_); }

 private:
  BpeVocabulary vocabulary_;
  std::map<std::string, int32_t, std::less<>> ids_;
};

/// More tokens than this are a damaged file, not a vocabulary.
inline constexpr int64_t kMostTokens = 1 << 22;

}  // namespace lockstep::data
