// A text file of any size, cut into parts whose tokens, one part behind the other, are those of the whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "data/text/tokenizers/tokenizer.h"

namespace lockstep::data {

struct TextPartsOptions {
  size_t part = size_t{4} << 20;    ///< bytes of a part, about
  size_t most = size_t{256} << 20;  ///< to look for a cut in
  size_t context = 1024;            ///< bytes on both sides of a cut that tokens are compared on
  bool any_bytes = false;           ///< else they must be UTF-8
};

/// A byte of `text` to cut at: a line's first where one will do, else a character's. The tokens of `context` bytes in
/// front of it and behind it are those of both together: no token and no pattern of the tokenizer goes across. 0 where
/// there is none. REQUIRES: `text` goes on for `context` bytes behind the last cut that may be found.
size_t FindCut(std::string_view text, const Tokenizer& tokenizer, size_t context);

/// Not thread-safe.
class TextParts {
 public:
  /// Opens the file, plain or gzipped. Throws Error(kData) where that can't be done. `tokenizer` outlives this.
  TextParts(const std::string& path, const Tokenizer& tokenizer, const TextPartsOptions& options = {});
  ~TextParts();
  TextParts(const TextParts&) = delete;
  TextParts& operator=(const TextParts&) = delete;

  /// Puts the next part into `part`, or returns false at the end. Throws Error(kData) where the file is damaged, empty,
  /// no UTF-8 (with its line), or has nowhere a place to cut.
  bool Next(std::string& part);
  /// Bytes of the file that were read, packed as it is.
  uint64_t position() const;

 private:
  class File;

  void Fill(size_t bytes);

  const std::string path_;
  const Tokenizer& tokenizer_;
  const TextPartsOptions options_;
  std::unique_ptr<File> file_;
  std::string buffer_;  ///< what follows the last part
  bool ended_ = false, any_ = false;
  uint64_t line_ = 1;  ///< that the next part begins in
};

}  // namespace lockstep::data
