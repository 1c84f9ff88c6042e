// Reading byte-level BPE vocabularies from the bytes of their files.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "data/text/byte_level_tokenizer.h"

namespace lockstep::data {

/// OpenByteLevelBpe's and OpenTokenizerJson's files, as bytes; paths are for messages. They throw as those do.
std::unique_ptr<Tokenizer> ReadByteLevelBpe(std::string_view vocabulary, const std::string& vocabulary_path,
                                            std::string_view merges, const std::string& merges_path);
std::unique_ptr<Tokenizer> ReadTokenizerJson(std::string_view json, const std::string& path);

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
