// Byte-level BPE as a Tokenizer: added tokens, normalization, pre-tokenizer and merges, one after the other.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "data/text/tokenizers/added_tokens.h"
#include "data/text/tokenizers/byte_pair_encoder.h"
#include "data/text/tokenizers/normalization.h"
#include "data/text/tokenizers/pre_tokenizer.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

struct ByteLevelParts {
  BpeVocabulary vocabulary;
  std::vector<SplitStep> steps;
  std::vector<Normalization> normalizations;
  std::vector<AddedToken> added_tokens;
  int32_t end = -1, begin = -1, padding = -1;
};

class ByteLevelTokenizer : public Tokenizer {
 public:
  /// REQUIRES: ids of the added tokens are not negative.
  explicit ByteLevelTokenizer(ByteLevelParts parts);
  ~ByteLevelTokenizer() override;

  int32_t size() const override { return size_; }
  void Encode(std::string_view text, std::vector<int32_t>& ids) const override;
  std::string Decode(std::span<const int32_t> ids) const override;
  uint64_t fingerprint() const override { return fingerprint_; }
  int32_t end() const override { return end_; }
  int32_t begin() const override { return begin_; }
  int32_t padding() const override { return padding_; }

 private:
  struct Memory;
  struct Job;

  std::unique_ptr<Memory> TakeMemory() const;
  void EncodeValid(std::string_view text, const Job& job) const;
  void EncodeNormalized(std::string_view text, const Job& job) const;
  void EncodeWord(std::string_view word, const Job& job) const;

  BytePairEncoder encoder_;
  PreTokenizer pre_tokenizer_;
  std::vector<Normalization> normalizations_;
  AddedTokenFinder raw_tokens_, normalized_tokens_;
  std::vector<std::optional<std::string>> texts_;  ///< by id
  int32_t size_, end_, begin_, padding_;
  uint64_t fingerprint_;

  mutable Mutex mutex_;
  mutable std::vector<std::unique_ptr<Memory>> free_ GUARDED_BY(mutex_);  ///< what threads are done with
};

/// GPT-2's alphabet: the bytes that a token of a byte-level vocabulary stands for ("Ġthe" is " the"). A token with
/// characters outside of it stands for its own.
std::string BytesOfToken(std::string_view token);

}  // namespace lockstep::data
