// A trie of byte strings with numbers.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace lockstep::data {

class PieceTrie {
 public:
  static constexpr int32_t kNone = -1;

  PieceTrie();
  /// REQUIRES: value >= 0.
  void Insert(std::string_view key, int32_t value);
  bool empty() const { return values_.size() == 1; }

  /// The root is 0. The node behind `byte`, or kNone.
  int32_t Child(int32_t node, uint8_t byte) const;
  /// The value of the string that leads to the node, or kNone.
  int32_t Value(int32_t node) const { return values_[static_cast<size_t>(node)]; }

  /// The length of the longest string that `text` begins with; 0 where there is none.
  size_t LongestPrefix(std::string_view text) const;

 private:
  struct Edge {
    uint64_t key;   ///< node << 8 | byte
    int32_t child;  ///< kNone in a free slot
  };
  size_t SlotOf(uint64_t key) const;

  std::vector<Edge> edges_;  ///< open addressing; a power of two
  std::vector<int32_t> values_;
};

}  // namespace lockstep::data
