// What SentencePiece does with a text before it looks for pieces: characters are rewritten by the model's rules (NFKC
// and some more), spaces are trimmed, joined and written as U+2581, and one is put in front.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/text/sentencepiece/piece_trie.h"
#include "data/text/sentencepiece/sentencepiece_model.pb.h"

namespace lockstep::data {

inline constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";

class SentencePieceNormalizer {
 public:
  /// `user_defined` symbols are left as they are. It must outlive this. Throws Error(kData) where the rules are
  /// damaged.
  SentencePieceNormalizer(const sentencepiece::NormalizerSpec& spec, bool space_at_end, const PieceTrie& user_defined,
                          const std::string& path);

  /// Bytes that are no UTF-8 become U+FFFD each.
  std::string Normalize(std::string_view text) const;

 private:
  /// What the front of `text` becomes, and how many bytes that front has. REQUIRES: `text` is not empty.
  std::pair<std::string_view, size_t> NormalizePrefix(std::string_view text) const;
  /// The longest rule at the front of `text`: where its string is, and its length; length 0 where there is none.
  std::pair<size_t, size_t> LongestRule(std::string_view text) const;

  bool add_space_, remove_spaces_, escape_spaces_, space_at_end_;
  const PieceTrie& user_defined_;
  std::string path_;
  std::vector<uint32_t> units_;  ///< of the double-array trie (Darts-clone's layout)
  std::string strings_;
};

}  // namespace lockstep::data
