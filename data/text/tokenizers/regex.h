// Regular expressions over UTF-8, as pre-tokenizers use them: PCRE2 with its just-in-time compiler.
//
// Patterns are written for Oniguruma (Ruby's syntax), which Hugging Face's `tokenizers` runs. Where the two libraries
// would read them differently, the pattern is rewritten (\s is Unicode's White_Space, \d its decimal numbers) or
// refused (\w: Oniguruma counts U+00BD to it and not U+2460, which no class of Unicode does). One difference is left:
// letters are those of the library's Unicode version (14 in Debian 12's PCRE2), so that younger characters count as
// neither letter nor number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_real_jit_stack_8;

namespace lockstep::data {

/// Memory for matching, of any number of patterns one after the other. Not thread-safe.
class RegexMemory {
 public:
  RegexMemory();
  ~RegexMemory();
  RegexMemory(const RegexMemory&) = delete;
  RegexMemory& operator=(const RegexMemory&) = delete;

 private:
  friend class Regex;
  pcre2_real_match_data_8* data_;
  pcre2_real_match_context_8* context_;
  pcre2_real_jit_stack_8* stack_;
};

/// A compiled pattern. Thread-safe.
class Regex {
 public:
  /// Throws std::invalid_argument with the reason for a pattern that is wrong or not supported.
  static Regex FromOniguruma(std::string_view pattern);
  static Regex FromLiteral(std::string_view text);

  /// Where the next match at or after byte `from` of `text` begins and ends; false where there is none. REQUIRES:
  /// `text` is UTF-8, and a character begins at `from`. Throws Error(kData) where a match takes more time or memory
  /// than any sane pattern does.
  bool Find(std::string_view text, size_t from, RegexMemory& memory, size_t& begin, size_t& end) const;

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  Regex(const std::string& pattern, uint32_t options);

  std::unique_ptr<pcre2_real_code_8, Free> code_;
};

/// The pattern in PCRE2's syntax. Throws std::invalid_argument.
std::string TranslateOniguruma(std::string_view pattern);

}  // namespace lockstep::data
