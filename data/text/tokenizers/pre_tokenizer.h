// How a text is cut into words before BPE: the steps of a pre-tokenizer, as tokenizer.json names them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "data/text/tokenizers/regex.h"

namespace lockstep::data {

/// What GPT-2 cuts a text with.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// One step: cuts each piece at the matches of a pattern.
struct SplitStep {
  /// What becomes of matches and of what lies between them.
  enum class Behavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };

  std::optional<Regex> regex;  ///< none: pieces are left whole
  std::string pattern;         ///< as the file has it, for the fingerprint
  Behavior behavior = Behavior::kIsolated;
  bool invert = false;        ///< matches are what lies between
  bool prefix_space = false;  ///< a piece that does not begin with a space gets one
};

class PreTokenizer {
 public:
  using Emit = std::function<void(std::string_view)>;

  explicit PreTokenizer(std::vector<SplitStep> steps) : steps_(std::move(steps)) {}

  /// Calls `emit` with each word of `text` in order; none is empty. Words live as long as the call. REQUIRES: `text` is
  /// UTF-8. Thread-safe.
  void Split(std::string_view text, RegexMemory& memory, const Emit& emit) const { Run(0, text, memory, emit); }

  void AddTo(Hasher& hasher) const;

 private:
  void Run(size_t step, std::string_view text, RegexMemory& memory, const Emit& emit) const;

  std::vector<SplitStep> steps_;
};

}  // namespace lockstep::data
