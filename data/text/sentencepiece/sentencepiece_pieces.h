// How SentencePiece finds a text's pieces: by merging pairs (BPE; Sennrich et al. 2016) or as the likeliest pieces of a
// unigram model (Kudo 2018). Ties and rounding are those of SentencePiece 0.1.97, Debian 12's: equal ids for 98,002
// lines of real text. 0.2.3 breaks ties of a unigram model's sums another way at times ("rrrr"), and in lines of
// megabytes.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/text/sentencepiece/piece_trie.h"
#include "data/text/sentencepiece/sentencepiece_model.pb.h"

namespace lockstep::data {

struct PieceSpan {
  std::string_view text;
  int32_t id;
};

/// The pieces of a model, and the two ways to find them. Immutable.
class SentencePieces {
 public:
  /// Throws Error(kData) or Error(kUsage) with the path.
  SentencePieces(const sentencepiece::Model& model, const std::string& path);
  SentencePieces(const SentencePieces&) = delete;
  SentencePieces& operator=(const SentencePieces&) = delete;

  std::vector<PieceSpan> Merge(std::string_view text) const;      ///< BPE
  std::vector<PieceSpan> Likeliest(std::string_view text) const;  ///< unigram

  /// The piece of this name; the unknown one where there is none.
  int32_t Find(std::string_view piece) const;
  bool Is(int32_t id, sentencepiece::Model::Piece::Type type) const { return type_[static_cast<size_t>(id)] == type; }
  int32_t size() const { return static_cast<int32_t>(type_.size()); }
  const std::string& name(int32_t id) const { return names_[static_cast<size_t>(id)]; }
  float score(int32_t id) const { return scores_[static_cast<size_t>(id)]; }
  int32_t unknown() const { return unknown_; }
  /// The byte of a byte piece.
  int32_t byte(int32_t id) const { return byte_[static_cast<size_t>(id)]; }
  /// The byte pieces, by byte; none in a model without them.
  const std::vector<int32_t>& byte_pieces() const { return byte_pieces_; }
  const PieceTrie& user_defined() const { return user_defined_; }

 private:
  void Add(int32_t id, const std::string& path);
  class Merger;

  std::vector<std::string> names_;
  std::vector<float> scores_;
  std::vector<int> type_;
  std::vector<int32_t> byte_;
  std::vector<int32_t> byte_pieces_;
  /// Views of names_: pieces that a text may have, and the others.
  std::unordered_map<std::string_view, int32_t> found_, reserved_;
  PieceTrie trie_, user_defined_;
  int32_t unknown_ = -1;
  float least_score_, greatest_score_;
};

}  // namespace lockstep::data
