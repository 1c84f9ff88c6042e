// Text to token ids and back: characters, bytes, byte-level BPE (GPT-2's files, or tokenizer.json as Hugging Face's
// `tokenizers` writes it) and SentencePiece. The ids are those of the programs whose files are read, for any text;
// bytes that are no UTF-8, which those programs refuse or replace, are named per tokenizer.
#pragma once

#include <cstdint>
#include <memory>
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

/// The alphabet is the code points of `corpus`, sorted; a character's id is its rank. Throws Error(kData) where the
/// corpus is empty or no UTF-8.
std::unique_ptr<Tokenizer> MakeCharacterTokenizer(std::string_view corpus);

/// 256 ids: a byte's id is its value. Any bytes go.
std::unique_ptr<Tokenizer> MakeByteTokenizer();

/// GPT-2's byte-level BPE from `vocab.json` (or encoder.json) and `merges.txt` (or vocab.bpe), each maybe gzipped.
/// Special tokens in a text are text here; end() is <|endoftext|>. Bytes that are no UTF-8 are words of their own, and
/// come back from Decode. Throws Error(kData) where a file is missing or damaged.
std::unique_ptr<Tokenizer> OpenByteLevelBpe(const std::string& vocabulary_path, const std::string& merges_path);

/// Hugging Face's tokenizer.json with a byte-level BPE: normalizers NFC, NFD, NFKC and NFKD, pre-tokenizers ByteLevel,
/// Split and Digits, added tokens (which a text may name, as there). Post-processor, truncation and padding are not
/// applied: who makes sequences adds what begins, ends and fills them. The file does not say which special tokens these
/// are: end(), begin() and padding() go by the usual names. Throws Error(kData) where the file is missing or damaged,
/// and Error(kUsage) that names what it asks for and is not supported.
std::unique_ptr<Tokenizer> OpenTokenizerJson(const std::string& path);

/// A SentencePiece model of type BPE or unigram. What the vocabulary lacks is its unknown piece, a run of such
/// characters one; or bytes, where it has byte pieces. A byte that is no UTF-8 is U+FFFD. Throws Error(kData) where the
/// file is missing or damaged, and Error(kUsage) for what is not supported.
std::unique_ptr<Tokenizer> OpenSentencePiece(const std::string& model_path);

/// What SentencePiece is trained with. Ids that are -1 are left out; the others are 0, 1, ... without holes.
struct SentencePieceTraining {
  enum class Model { kBpe, kUnigram };

  std::vector<std::string> texts;  ///< files of one sentence a line, each maybe gzipped
  int32_t size = 8000;             ///< of the vocabulary, special pieces included
  Model model = Model::kBpe;
  /// The share of the text's characters that get a piece; the rarest others are unknown. 0.9995 suits Chinese or
  /// Japanese.
  double character_coverage = 1.0;
  bool byte_fallback = false;  ///< 256 byte pieces stand for unknown characters
  int32_t padding = 0, begin = 1, end = 2, unknown = 3;
};

/// Trains a vocabulary and writes the model (whole or not at all): the same bytes for the same texts and settings on
/// any machine with the same SentencePiece. Runs the program `spm_train` (Debian's package sentencepiece). Throws
/// Error(kData) where a text is missing or no UTF-8, and Error(kUsage) where the program is missing or refuses the
/// settings.
void TrainSentencePiece(const SentencePieceTraining& training, const std::string& model_path);

}  // namespace lockstep::data
