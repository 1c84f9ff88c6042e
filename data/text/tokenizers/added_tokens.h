// Tokens that are found in a text before anything else looks at it: special ones like <|endoftext|>, and words that
// were added to a vocabulary later.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace lockstep::data {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool strip_left = false, strip_right = false;  ///< white space beside it belongs to it
  bool normalized = false;                       ///< is looked for in the normalized text
  bool special = false;
};

/// Finds tokens in a text: of those that begin leftmost, the longest.
class AddedTokenFinder {
 public:
  explicit AddedTokenFinder(std::vector<AddedToken> tokens);

  /// Calls, in order, `on_text` with the pieces between tokens (none is empty) and `on_token` with the tokens' ids.
  /// REQUIRES: `text` is UTF-8. Thread-safe.
  void Split(std::string_view text, const std::function<void(std::string_view)>& on_text,
             const std::function<void(int32_t)>& on_token) const;

  void AddTo(Hasher& hasher) const;

 private:
  /// The token at `at`, or none.
  const AddedToken* Match(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;  ///< by first byte, then the longest first
  std::array<std::pair<uint32_t, uint32_t>, 256> by_first_byte_{};
};

}  // namespace lockstep::data
