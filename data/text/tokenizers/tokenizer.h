// Text to token ids and back: characters, bytes, byte-level BPE (GPT-2's files, or tokenizer.json as Hugging Face's
// `tokenizers` writes it) and SentencePiece. The ids are those of the programs whose files are read, for any text;
// bytes that are no UTF-8, which those programs refuse or replace, are named per tokenizer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::data {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// Ids are 0 <= id < size().
  virtual int32_t size() const = 0;
  /// Appends the tokens of `text` (UTF-8) to `ids`. Thread-safe. Throws Error(kData) where the text holds what the
  /// vocabulary lacks (naming the character, as U+XXXX and itself, and its byte offset).
  virtual void Encode(std::string_view text, std::vector<int32_t>& ids) const = 0;
  /// The text of `ids`; bytes that are no valid UTF-8 come out as they are. Throws Error(kData) for an id out of range.
  virtual std::string Decode(std::span<const int32_t> ids) const = 0;
  /// A hash of all that decides Encode and Decode: of content, never of paths.
  virtual uint64_t fingerprint() const = 0;
  /// Ids of special tokens; -1 where the vocabulary has none: end of text or sentence, begin of sentence, padding.
  virtual int32_t end() const { return -1; }
  virtual int32_t begin() const { return -1; }
  virtual int32_t padding() const { return -1; }
  /// The token that stands for what the vocabulary lacks; -1 where all text has tokens, or Encode throws.
  virtual int32_t unknown() const { return -1; }
  /// Whether text may be any bytes, UTF-8 or not.
  virtual bool takes_bytes() const { return false; }
};

}  // namespace lockstep::data
