#include "data/text/sentencepiece/sentencepiece_tokenizer.h"

#include <fmt/format.h>

#include <limits>

#include "base/hash.h"
#include "data/text/sentencepiece/sentencepiece_normalizer.h"
#include "data/text/sentencepiece/sentencepiece_pieces.h"
#include "data/text/tokenizers/token_errors.h"

namespace lockstep::data {
namespace {

using Piece = sentencepiece::Model::Piece;
using TrainerSpec = sentencepiece::TrainerSpec;

sentencepiece::Model ParseModel(std::string_view bytes, const std::string& path) {
  sentencepiece::Model model;
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    throw DamagedFile(path, "this is no SentencePiece model, or it is cut off");
  }
  const auto type = model.trainer_spec().model_type();
  if (type != TrainerSpec::BPE && type != TrainerSpec::UNIGRAM) {
    throw UnsupportedFile(path, fmt::format("trainer_spec.model_type: {} is not supported, only BPE and UNIGRAM",
                                            TrainerSpec::ModelType_Name(type)));
  }
  if (!model.denormalizer_spec().precompiled_charsmap().empty()) {
    throw UnsupportedFile(path, "denormalizer_spec: rules that rewrite decoded text are not supported");
  }
  return model;
}

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(const sentencepiece::Model& model, const std::string& path)
      : pieces_(model, path),
        normalizer_(model.normalizer_spec(), model.trainer_spec().treat_whitespace_as_suffix(), pieces_.user_defined(),
                    path),
        unigram_(model.trainer_spec().model_type() == TrainerSpec::UNIGRAM),
        strip_first_space_(model.normalizer_spec().add_dummy_prefix()),
        strip_spaces_(model.normalizer_spec().remove_extra_whitespaces()),
        unknown_text_(model.trainer_spec().unk_surface()),
        end_(FindControl(model.trainer_spec().eos_piece())),
        begin_(FindControl(model.trainer_spec().bos_piece())),
        padding_(FindControl(model.trainer_spec().pad_piece())) {
    Hasher hasher;
    hasher.Add("sentencepiece 1:");
    for (int32_t id = 0; id < size(); ++id) {
      hasher.AddInteger(pieces_.name(id).size());
      hasher.Add(pieces_.name(id));
      const float score = pieces_.score(id);
      hasher.Add(std::as_bytes(std::span(&score, 1)));
      hasher.AddInteger(static_cast<uint64_t>(model.pieces(id).type()));
    }
    const auto& rules = model.normalizer_spec();
    hasher.AddInteger(rules.precompiled_charsmap().size());
    hasher.Add(rules.precompiled_charsmap());
    hasher.AddInteger(uint64_t{unigram_} << 4 | uint64_t{model.trainer_spec().treat_whitespace_as_suffix()} << 3 |
                      uint64_t{rules.escape_whitespaces()} << 2 | uint64_t{strip_first_space_} << 1 |
                      uint64_t{strip_spaces_});
    hasher.Add(unknown_text_);
    for (int32_t id : {end_, begin_, padding_}) hasher.AddInteger(static_cast<uint64_t>(id));
    fingerprint_ = hasher.Digest();
  }

  int32_t size() const override { return pieces_.size(); }
  uint64_t fingerprint() const override { return fingerprint_; }
  int32_t end() const override { return end_; }
  int32_t begin() const override { return begin_; }
  int32_t padding() const override { return padding_; }
  int32_t unknown() const override { return pieces_.byte_pieces().empty() ? pieces_.unknown() : -1; }

  void Encode(std::string_view text, std::vector<int32_t>& ids) const override {
    const std::string normalized = normalizer_.Normalize(text);
    bool after_unknown = false;
    for (const PieceSpan& span : unigram_ ? pieces_.Likeliest(normalized) : pieces_.Merge(normalized)) {
      const bool unknown = span.id == pieces_.unknown();
      if (unknown && !pieces_.byte_pieces().empty()) {
        for (char c : span.text) ids.push_back(pieces_.byte_pieces()[static_cast<uint8_t>(c)]);
      } else if (!unknown || !after_unknown) {
        ids.push_back(span.id);
      }
      after_unknown = unknown;
    }
  }

  std::string Decode(std::span<const int32_t> ids) const override {
    std::string text;
    bool first = true;  // whether the space in front, which Encode adds, may still come
    bool stripped = false;
    for (int32_t id : ids) {
      if (id < 0 || id >= size()) throw NoSuchId(id, size());
      if (pieces_.Is(id, Piece::BYTE)) {
        text.push_back(static_cast<char>(pieces_.byte(id)));
        continue;
      }
      if (stripped || !text.empty()) first = false;
      stripped = false;
      if (pieces_.Is(id, Piece::CONTROL)) continue;
      if (pieces_.Is(id, Piece::UNKNOWN)) {
        text += unknown_text_;
        continue;
      }
      std::string_view piece = pieces_.name(id);
      if (first && (strip_first_space_ || strip_spaces_) && piece.starts_with(kSpaceSymbol)) {
        piece.remove_prefix(kSpaceSymbol.size());
        stripped = !strip_spaces_;
      }
      AppendPiece(piece, text);
    }
    return text;
  }

 private:
  static void AppendPiece(std::string_view piece, std::string& text) {
    for (size_t at = piece.find(kSpaceSymbol); at != std::string_view::npos; at = piece.find(kSpaceSymbol)) {
      text.append(piece.substr(0, at)).push_back(' ');
      piece.remove_prefix(at + kSpaceSymbol.size());
    }
    text += piece;
  }

  int32_t FindControl(const std::string& piece) const {
    const int32_t id = pieces_.Find(piece);
    return pieces_.Is(id, Piece::CONTROL) ? id : -1;
  }

  SentencePieces pieces_;
  SentencePieceNormalizer normalizer_;
  bool unigram_, strip_first_space_, strip_spaces_;
  std::string unknown_text_;
  int32_t end_, begin_, padding_;
  uint64_t fingerprint_;
};

}  // namespace

std::unique_ptr<Tokenizer> ReadSentencePiece(std::string_view bytes, const std::string& path) {
  return std::make_unique<SentencePieceTokenizer>(ParseModel(bytes, path), path);
}

std::unique_ptr<Tokenizer> OpenSentencePiece(const std::string& model_path) {
  return ReadSentencePiece(LoadTextFile(model_path), model_path);
}

}  // namespace lockstep::data
