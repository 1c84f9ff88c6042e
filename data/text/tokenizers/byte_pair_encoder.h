// Byte-pair encoding of words (Sennrich et al. 2016, over bytes as in GPT-2): from a word's bytes, pairs of neighbours
// are merged, each time the leftmost of those that stand first in the list of merges.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"

namespace lockstep::data {

struct BpeVocabulary {
  struct Merge {
    int32_t left, right, merged;
  };
  std::vector<std::string> tokens;  ///< bytes by id; empty where there is no such id
  std::vector<Merge> merges;        ///< the first goes first
  bool ignore_merges = false;       ///< a word that is a token is that token, whatever the merges say

  void AddTo(Hasher& hasher) const;
};

/// Words that were encoded before. Not thread-safe; a matter of speed alone.
class WordCache {
 public:
  static constexpr size_t kLongestWord = 32;

  WordCache();
  /// The word's ids, or none.
  const int32_t* Find(std::string_view word, uint64_t hash, size_t& count) const;
  void Insert(std::string_view word, uint64_t hash, const int32_t* ids, size_t count);

 private:
  struct Entry {
    uint64_t hash;
    uint32_t text, ids;  ///< where they begin
    uint32_t bytes;      ///< 0 in a free entry
    uint32_t count;
  };
  std::vector<Entry> entries_;
  size_t used_ = 0;
  std::string texts_;
  std::vector<int32_t> ids_;
};

class BytePairEncoder {
 public:
  /// REQUIRES: tokens of a merge exist.
  explicit BytePairEncoder(BpeVocabulary vocabulary);

  /// What one thread needs at a time.
  struct Memory {
    WordCache cache;
    std::vector<int32_t> symbols;
    std::vector<uint64_t> ranks;
  };

  /// Appends the word's tokens. False where the vocabulary lacks one of its bytes; `ids` may have grown then.
  bool Encode(std::string_view word, Memory& memory, std::vector<int32_t>& ids) const;

  bool has_byte(uint8_t byte) const { return byte_ids_[byte] >= 0; }
  const BpeVocabulary& vocabulary() const { return vocabulary_; }

 private:
  /// Rank and merged token of a pair, as rank << 32 | merged; kNoMerge where the pair is not merged.
  uint64_t Lookup(int32_t left, int32_t right) const;
  void InsertMerge(uint64_t pair, uint64_t merge);
  void MergeShort(Memory& memory) const;
  void MergeLong(Memory& memory) const;

  static constexpr uint64_t kNoMerge = ~uint64_t{0};
  struct Slot {
    uint64_t pair = kNoMerge, merge = kNoMerge;
  };

  BpeVocabulary vocabulary_;
  int32_t byte_ids_[256];
  std::vector<Slot> slots_;  ///< open addressing; a power of two
  int shift_ = 0;
  std::unordered_map<std::string_view, int32_t> whole_words_;  ///< with ignore_merges
};

}  // namespace lockstep::data
