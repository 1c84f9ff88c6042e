#include "data/text/sentencepiece/sentencepiece_pieces.h"

#include <fmt/format.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <queue>

#include "data/text/tokenizers/token_errors.h"

namespace lockstep::data {
namespace {

using Piece = sentencepiece::Model::Piece;

/// How many bytes the character at the front has, going by the first one alone.
size_t CharacterBytes(std::string_view text) {
  constexpr uint8_t kBytes[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
  return std::min<size_t>(kBytes[static_cast<uint8_t>(text[0]) >> 4], text.size());
}

/// "<0x0A>" is 10; -1 for other names.
int32_t ByteOfName(std::string_view name) {
  for (int32_t byte = 0; byte < 256; ++byte) {
    if (name == fmt::format("<0x{:02X}>", byte)) return byte;
  }
  return -1;
}

}  // namespace

SentencePieces::SentencePieces(const sentencepiece::Model& model, const std::string& path)
    : least_score_(FLT_MAX), greatest_score_(FLT_MIN) {
  for (const Piece& piece : model.pieces()) {
    if (!std::isfinite(piece.score())) {
      throw DamagedFile(path, fmt::format("the score of piece {} ('{}') is no number", names_.size(), piece.piece()));
    }
    names_.push_back(piece.piece());
    scores_.push_back(piece.score());
    type_.push_back(piece.type());
  }
  const bool bytes = model.trainer_spec().byte_fallback();
  byte_.assign(names_.size(), -1);
  if (bytes) byte_pieces_.assign(256, -1);
  for (int32_t id = 0; id < size(); ++id) Add(id, path);
  if (unknown_ < 0) throw DamagedFile(path, "this is no SentencePiece model: it has no unknown piece");
  if (std::find(byte_pieces_.begin(), byte_pieces_.end(), -1) != byte_pieces_.end()) {
    throw DamagedFile(path, "some of the 256 byte pieces are missing");
  }
}

void SentencePieces::Add(int32_t id, const std::string& path) {
  const std::string& name = names_[static_cast<size_t>(id)];
  if (name.empty()) throw DamagedFile(path, fmt::format("piece {} is empty", id));
  const bool in_texts = Is(id, Piece::NORMAL) || Is(id, Piece::USER_DEFINED) || Is(id, Piece::UNUSED);
  if (!(in_texts ? found_ : reserved_).emplace(name, id).second) {
    throw DamagedFile(path, fmt::format("piece {} ('{}') is there twice", id, name));
  }
  if (in_texts) trie_.Insert(name, id);
  if (Is(id, Piece::USER_DEFINED)) user_defined_.Insert(name, id);
  if (Is(id, Piece::NORMAL)) {
    least_score_ = std::min(least_score_, score(id));
    greatest_score_ = std::max(greatest_score_, score(id));
  }
  if (Is(id, Piece::UNKNOWN)) {
    if (unknown_ >= 0) throw DamagedFile(path, fmt::format("pieces {} and {} are both the unknown one", unknown_, id));
    unknown_ = id;
  }
  if (Is(id, Piece::BYTE)) {
    const int32_t byte = ByteOfName(name);
    if (byte < 0 || byte_pieces_.empty())
      throw DamagedFile(path, fmt::format("piece {} ('{}') is no byte piece", id, name));
    byte_[static_cast<size_t>(id)] = byte;
    byte_pieces_[static_cast<size_t>(byte)] = id;
  }
}

int32_t SentencePieces::Find(std::string_view piece) const {
  if (const auto found = reserved_.find(piece); found != reserved_.end()) return found->second;
  if (const auto found = found_.find(piece); found != found_.end()) return found->second;
  return unknown_;
}

/// Merges the symbols of one text.
class SentencePieces::Merger {
 public:
  Merger(const SentencePieces& pieces, std::string_view text) : pieces_(pieces) {
    while (!text.empty()) {
      const size_t user_defined = pieces_.user_defined_.empty() ? 0 : pieces_.user_defined_.LongestPrefix(text);
      const size_t bytes = user_defined > 0 ? user_defined : CharacterBytes(text);
      const auto index = static_cast<int64_t>(symbols_.size());
      symbols_.push_back({text.substr(0, bytes), index - 1, index + 1, user_defined > 0});
      text.remove_prefix(bytes);
    }
    if (!symbols_.empty()) symbols_.back().next = kNone;
    for (int64_t i = 1; i < static_cast<int64_t>(symbols_.size()); ++i) Offer(i - 1, i);
  }

  std::vector<PieceSpan> Run() {
    while (!queue_.empty()) {
      const Pair best = queue_.top();
      queue_.pop();
      Symbol &left = At(best.left), &right = At(best.right);
      // Either may have been merged since.
      if (left.text.empty() || right.text.empty() || left.text.size() + right.text.size() != best.bytes) continue;
      left.text = {left.text.data(), best.bytes};
      left.next = right.next;
      if (right.next != kNone) At(right.next).previous = best.left;
      right.text = {};
      Offer(left.previous, best.left);
      Offer(best.left, left.next);
    }
    std::vector<PieceSpan> spans;
    for (int64_t i = symbols_.empty() ? kNone : 0; i != kNone; i = At(i).next) Segment(At(i).text, spans);
    return spans;
  }

 private:
  static constexpr int64_t kNone = -1;
  struct Symbol {
    std::string_view text;  ///< empty once it was merged into its left neighbour
    int64_t previous, next;
    bool frozen;
  };
  struct Pair {
    float score;
    int64_t left, right;
    size_t bytes;
    bool operator<(const Pair& other) const {
      return score < other.score || (score == other.score && left > other.left);
    }
  };

  Symbol& At(int64_t index) { return symbols_[static_cast<size_t>(index)]; }

  void Offer(int64_t left, int64_t right) {
    if (left == kNone || right == kNone || At(left).frozen || At(right).frozen) return;
    const std::string_view text(At(left).text.data(), At(left).text.size() + At(right).text.size());
    const auto found = pieces_.found_.find(text);
    if (found == pieces_.found_.end()) return;
    queue_.push({pieces_.score(found->second), left, right, text.size()});
    if (pieces_.Is(found->second, Piece::UNUSED)) parts_[text] = {At(left).text, At(right).text};
  }

  /// Unused pieces only lead to longer ones: what is left of them falls apart again.
  void Segment(std::string_view text, std::vector<PieceSpan>& spans) const {
    const int32_t id = pieces_.Find(text);
    const auto parts = pieces_.Is(id, Piece::UNUSED) ? parts_.find(text) : parts_.end();
    if (parts == parts_.end()) {
      spans.push_back({text, id});
    } else {
      Segment(parts->second.first, spans);
      Segment(parts->second.second, spans);
    }
  }

  const SentencePieces& pieces_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Pair> queue_;
  std::unordered_map<std::string_view, std::pair<std::string_view, std::string_view>> parts_;
};

std::vector<PieceSpan> SentencePieces::Merge(std::string_view text) const { return Merger(*this, text).Run(); }

std::vector<PieceSpan> SentencePieces::Likeliest(std::string_view text) const {
  constexpr float kUnknownPenalty = 10;
  constexpr size_t kNone = ~size_t{0};
  struct Path {
    int32_t id = -1;
    float score = 0;
    size_t begin = kNone;  ///< of its last piece
  };
  std::vector<Path> paths(text.size() + 1);  // by where they end
  const auto offer = [&](size_t begin, size_t end, int32_t id, double score) {
    Path& path = paths[end];
    if (path.begin == kNone || score > path.score) path = {id, static_cast<float>(score), begin};
  };
  for (size_t begin = 0; begin < text.size();) {
    const float score = paths[begin].score;
    const size_t character = CharacterBytes(text.substr(begin));
    bool has_character = false;
    int32_t node = 0;
    for (size_t end = begin; end < text.size();) {
      node = trie_.Child(node, static_cast<uint8_t>(text[end++]));
      if (node == PieceTrie::kNone) break;
      const int32_t id = trie_.Value(node);
      if (id == PieceTrie::kNone || Is(id, Piece::UNUSED)) continue;
      // Sums are SentencePiece's: in double, kept in float.
      const double own = Is(id, Piece::USER_DEFINED) ? static_cast<float>(end - begin) * greatest_score_ - 0.1
                                                     : double{this->score(id)};
      offer(begin, end, id, own + score);
      has_character |= end - begin == character;
    }
    if (!has_character) offer(begin, begin + character, unknown_, least_score_ - kUnknownPenalty + score);
    begin += character;
  }
  std::vector<PieceSpan> spans;
  for (size_t end = text.size(); end > 0; end = paths[end].begin) {
    spans.push_back({text.substr(paths[end].begin, end - paths[end].begin), paths[end].id});
  }
  std::reverse(spans.begin(), spans.end());
  return spans;
}

}  // namespace lockstep::data
