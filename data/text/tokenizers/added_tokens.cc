#include "data/text/tokenizers/added_tokens.h"

#include <algorithm>

#include "data/utf8.h"

namespace lockstep::data {
namespace {

/// Where the white space that ends `text` begins.
size_t TrailingSpace(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    size_t before = begin - 1;
    while (before > 0 && (static_cast<uint8_t>(text[before]) & 0xC0) == 0x80) --before;
    if (!IsWhiteSpace(CharacterAt(text, before).code_point)) break;
    begin = before;
  }
  return begin;
}

size_t LeadingSpace(std::string_view text) {
  size_t end = 0;
  while (end < text.size()) {
    const Character character = CharacterAt(text, end);
    if (!IsWhiteSpace(character.code_point)) break;
    end += character.bytes;
  }
  return end;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  const auto first = [](const AddedToken& token) { return static_cast<uint8_t>(token.content[0]); };
  std::stable_sort(tokens_.begin(), tokens_.end(), [&](const AddedToken& a, const AddedToken& b) {
    return first(a) != first(b) ? first(a) < first(b) : a.content.size() > b.content.size();
  });
  for (uint32_t i = 0; i < tokens_.size(); ++i) {
    auto& [begin, end] = by_first_byte_[first(tokens_[i])];
    if (end == 0) begin = i;
    end = i + 1;
  }
}

const AddedToken* AddedTokenFinder::Match(std::string_view text, size_t at) const {
  const auto [begin, end] = by_first_byte_[static_cast<uint8_t>(text[at])];
  for (uint32_t i = begin; i < end; ++i) {
    if (text.substr(at).starts_with(tokens_[i].content)) return &tokens_[i];
  }
  return nullptr;
}

void AddedTokenFinder::Split(std::string_view text, const std::function<void(std::string_view)>& on_text,
                             const std::function<void(int32_t)>& on_token) const {
  size_t done = 0;
  for (size_t at = 0; !tokens_.empty() && at < text.size();) {
    const AddedToken* token = Match(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + token->content.size();
    if (token->strip_left) begin = std::max(done, TrailingSpace(text.substr(0, begin)));
    if (token->strip_right) end += LeadingSpace(text.substr(end));
    if (begin > done) on_text(text.substr(done, begin - done));
    on_token(token->id);
    done = at = end;
  }
  if (done < text.size()) on_text(text.substr(done));
}

void AddedTokenFinder::AddTo(Hasher& hasher) const {
  hasher.AddInteger(tokens_.size());
  for (const AddedToken& token : tokens_) {
    hasher.AddInteger(token.content.size());
    hasher.Add(token.content);
    hasher.AddInteger(static_cast<uint64_t>(token.id) << 2 | uint64_t{token.strip_left} << 1 |
                      uint64_t{token.strip_right});
  }
}

}  // namespace lockstep::data
