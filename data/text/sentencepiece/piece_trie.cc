#include "data/text/sentencepiece/piece_trie.h"

#include "base/error.h"

namespace lockstep::data {

PieceTrie::PieceTrie() : edges_(64, Edge{0, kNone}), values_(1, kNone) {}

size_t PieceTrie::SlotOf(uint64_t key) const {
  const size_t mask = edges_.size() - 1;
  size_t slot = (key * 0x9E3779B97F4A7C15u) >> 32 & mask;
  while (edges_[slot].child != kNone && edges_[slot].key != key) slot = (slot + 1) & mask;
  return slot;
}

int32_t PieceTrie::Child(int32_t node, uint8_t byte) const {
  return edges_[SlotOf(uint64_t{static_cast<uint32_t>(node)} << 8 | byte)].child;
}

void PieceTrie::Insert(std::string_view text, int32_t value) {
  CHECK(value >= 0);
  int32_t node = 0;
  for (char c : text) {
    const uint64_t key = uint64_t{static_cast<uint32_t>(node)} << 8 | static_cast<uint8_t>(c);
    size_t slot = SlotOf(key);
    if (edges_[slot].child == kNone) {
      if (2 * values_.size() > edges_.size()) {
        std::vector<Edge> old(2 * edges_.size(), Edge{0, kNone});
        old.swap(edges_);
        for (const Edge& edge : old) {
          if (edge.child != kNone) edges_[SlotOf(edge.key)] = edge;
        }
        slot = SlotOf(key);
      }
      edges_[slot] = {key, static_cast<int32_t>(values_.size())};
      values_.push_back(kNone);
    }
    node = edges_[slot].child;
  }
  values_[static_cast<size_t>(node)] = value;
}

size_t PieceTrie::LongestPrefix(std::string_view text) const {
  size_t longest = 0;
  int32_t node = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    node = Child(node, static_cast<uint8_t>(text[at]));
    if (node == kNone) break;
    if (Value(node) != kNone) longest = at + 1;
  }
  return longest;
}

}  // namespace lockstep::data
