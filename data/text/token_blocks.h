// Language-model samples: blocks of consecutive tokens, each with the tokens that follow.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

/// A long row of tokens.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual uint64_t size() const = 0;
  /// Tokens [first, first + to.size()). REQUIRES: they exist. Thread-safe.
  virtual void Read(uint64_t first, std::span<int32_t> to) const = 0;
  /// A hash of the tokens.
  virtual uint64_t fingerprint() const = 0;
  virtual uint64_t held_bytes() const { return 0; }  ///< as in SourceTraits
};

/// Tokens in memory.
std::unique_ptr<TokenSource> MakeTokenSource(std::vector<int32_t> tokens);

struct TokenBlocksOptions {
  int64_t block = 0;       ///< tokens of a sample
  int32_t vocabulary = 0;  ///< ids are below it
  /// How epochs cut the text. Each anew, at an offset drawn from (seed, epoch), so that a token stands at other
  /// positions of its block in other epochs; or all at 0, as evaluations do.
  bool cut_anew = false;
  uint64_t seed = 0;
  std::shared_ptr<const Tokenizer> tokenizer = nullptr;  ///< knows the tokens' text; may be null
};

/// Samples "tokens" i32 [block] and "label" i32 [block], the tokens one position on. Throws Error(kData), naming
/// `where`, where there is not even one.
std::unique_ptr<Dataset> MakeTokenBlocks(std::unique_ptr<TokenSource> source, const TokenBlocksOptions& options,
                                         const std::string& where);

}  // namespace lockstep::data
