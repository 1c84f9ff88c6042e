// The tokens of sentences that a model reads and writes: a tokenizer's, and what begins and ends a sentence.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// Thread-safe.
class SentenceVocabulary {
 public:
  /// Begin and end are the tokenizer's own; those that it lacks are ids behind its vocabulary, end first.
  explicit SentenceVocabulary(std::shared_ptr<const Tokenizer> tokenizer);

  /// Ids are 0 <= id < size(), those of begin and end among them.
  int32_t size() const { return size_; }
  SentenceMarks marks() const { return marks_; }

  /// Appends the tokens of `sentence` without begin and end. Throws as Tokenizer::Encode.
  void Encode(std::string_view sentence, std::vector<int32_t>& ids) const { tokenizer_->Encode(sentence, ids); }
  /// How many of `ids` stand for what the vocabulary lacks.
  uint64_t CountUnknown(std::span<const int32_t> ids) const;
  /// The text of `ids`, of which begin and end are left out. Throws Error(kData) for an id out of range.
  std::string TextOf(std::span<const int32_t> ids) const;
  uint64_t fingerprint() const;

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  SentenceMarks marks_;
  int32_t size_ = 0;
};

/// Throws Error(kUsage) where `tokenizer` is null, as where a recipe says none.
SentenceVocabulary RequireSentenceVocabulary(std::shared_ptr<const Tokenizer> tokenizer);

}  // namespace lockstep::data
