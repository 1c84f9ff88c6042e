#include "data/text/sentences/sentence_vocabulary.h"

#include "base/error.h"
#include "base/hash.h"
#include "data/text/tokenizers/token_errors.h"

namespace lockstep::data {

SentenceVocabulary::SentenceVocabulary(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {
  marks_ = {.begin = tokenizer_->begin(), .end = tokenizer_->end()};
  size_ = tokenizer_->size();
  if (marks_.end < 0) marks_.end = size_++;
  if (marks_.begin < 0) marks_.begin = size_++;
}

uint64_t SentenceVocabulary::CountUnknown(std::span<const int32_t> ids) const {
  return data::CountUnknown(ids, *tokenizer_);
}

std::string SentenceVocabulary::TextOf(std::span<const int32_t> ids) const {
  std::vector<int32_t> text;
  for (const int32_t id : ids) {
    if (id != marks_.begin && id != marks_.end) text.push_back(id);
  }
  return tokenizer_->Decode(text);
}

uint64_t SentenceVocabulary::fingerprint() const {
  return Hash64(fmt::format("sentences 1 {} {} {}", tokenizer_->fingerprint(), marks_.begin, marks_.end));
}

SentenceVocabulary RequireSentenceVocabulary(std::shared_ptr<const Tokenizer> tokenizer) {
  if (tokenizer == nullptr) {
    throw Error(ErrorKind::kUsage, "parallel text needs a tokenizer", "data.tokenizer",
                "for example tokenizer { sentencepiece: \"pieces.model\" }, which `lockstep tokenizer train` makes");
  }
  return SentenceVocabulary(std::move(tokenizer));
}

}  // namespace lockstep::data
