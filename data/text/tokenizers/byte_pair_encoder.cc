#include "data/text/tokenizers/byte_pair_encoder.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <queue>

#include "base/error.h"

namespace lockstep::data {
namespace {

constexpr size_t kCacheEntries = 1 << 16;
/// Up to here looking through all pairs for each merge is quicker than a queue.
constexpr size_t kShortWord = 64;

uint64_t PairOf(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

}  // namespace

void BpeVocabulary::AddTo(Hasher& hasher) const {
  hasher.AddInteger(tokens.size());
  for (const std::string& token : tokens) {
    hasher.AddInteger(token.size());
    hasher.Add(token);
  }
  hasher.AddInteger(merges.size());
  for (const Merge& merge : merges) {
    hasher.AddInteger(PairOf(merge.left, merge.right));
    hasher.AddInteger(static_cast<uint64_t>(merge.merged));
  }
  hasher.AddInteger(ignore_merges);
}

WordCache::WordCache() : entries_(kCacheEntries) {}

const int32_t* WordCache::Find(std::string_view word, uint64_t hash, size_t& count) const {
  for (size_t slot = hash % kCacheEntries; entries_[slot].bytes != 0; slot = (slot + 1) % kCacheEntries) {
    const Entry& entry = entries_[slot];
    if (entry.hash == hash && entry.bytes == word.size() &&
        std::memcmp(texts_.data() + entry.text, word.data(), word.size()) == 0) {
      count = entry.count;
      return ids_.data() + entry.ids;
    }
  }
  return nullptr;
}

void WordCache::Insert(std::string_view word, uint64_t hash, const int32_t* ids, size_t count) {
  if (used_ > kCacheEntries / 2) {
    std::fill(entries_.begin(), entries_.end(), Entry{});
    used_ = 0;
    texts_.clear();
    ids_.clear();
  }
  size_t slot = hash % kCacheEntries;
  while (entries_[slot].bytes != 0) slot = (slot + 1) % kCacheEntries;
  entries_[slot] = {hash, static_cast<uint32_t>(texts_.size()), static_cast<uint32_t>(ids_.size()),
                    static_cast<uint32_t>(word.size()), static_cast<uint32_t>(count)};
  ++used_;
  texts_ += word;
  ids_.insert(ids_.end(), ids, ids + count);
}

BytePairEncoder::BytePairEncoder(BpeVocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {
  std::fill(std::begin(byte_ids_), std::end(byte_ids_), -1);
  const auto& tokens = vocabulary_.tokens;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].size() == 1) byte_ids_[static_cast<uint8_t>(tokens[id][0])] = static_cast<int32_t>(id);
    if (vocabulary_.ignore_merges && !tokens[id].empty()) whole_words_.emplace(tokens[id], static_cast<int32_t>(id));
  }
  const size_t slots = std::bit_ceil(std::max<size_t>(2 * vocabulary_.merges.size(), 2));
  slots_.resize(slots);
  shift_ = 64 - std::countr_zero(slots);
  for (size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
    const BpeVocabulary::Merge& merge = vocabulary_.merges[rank];
    const auto exists = [&](int32_t id) { return id >= 0 && static_cast<size_t>(id) < tokens.size(); };
    CHECK(exists(merge.left) && exists(merge.right) && exists(merge.merged));
    InsertMerge(PairOf(merge.left, merge.right), uint64_t{rank} << 32 | static_cast<uint32_t>(merge.merged));
  }
}

void BytePairEncoder::InsertMerge(uint64_t pair, uint64_t merge) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
  size_t slot = (pair * kGolden) >> shift_;
  while (slots_[slot].pair != kNoMerge && slots_[slot].pair != pair) slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = {pair, merge};  // of a pair that is listed twice, the later place holds, as in `tokenizers`
}

uint64_t BytePairEncoder::Lookup(int32_t left, int32_t right) const {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
  const uint64_t pair = PairOf(left, right);
  for (size_t slot = (pair * kGolden) >> shift_;; slot = (slot + 1) & (slots_.size() - 1)) {
    if (slots_[slot].pair == pair) return slots_[slot].merge;
    if (slots_[slot].pair == kNoMerge) return kNoMerge;
  }
}

bool BytePairEncoder::Encode(std::string_view word, Memory& memory, std::vector<int32_t>& ids) const {
  const bool cached = word.size() <= WordCache::kLongestWord && word.size() > 1;
  const uint64_t hash = cached ? Hash64(word) : 0;
  if (cached) {
    size_t count = 0;
    if (const int32_t* known = memory.cache.Find(word, hash, count)) {
      ids.insert(ids.end(), known, known + count);
      return true;
    }
  }
  auto& symbols = memory.symbols;
  symbols.clear();
  const auto whole = vocabulary_.ignore_merges ? whole_words_.find(word) : whole_words_.end();
  if (whole != whole_words_.end()) {
    symbols.push_back(whole->second);
  } else {
    for (char c : word) {
      const int32_t id = byte_ids_[static_cast<uint8_t>(c)];
      if (id < 0) return false;
      symbols.push_back(id);
    }
    if (symbols.size() <= kShortWord) {
      MergeShort(memory);
    } else {
      MergeLong(memory);
    }
  }
  if (cached) memory.cache.Insert(word, hash, symbols.data(), symbols.size());
  ids.insert(ids.end(), symbols.begin(), symbols.end());
  return true;
}

void BytePairEncoder::MergeShort(Memory& memory) const {
  auto& symbols = memory.symbols;
  auto& ranks = memory.ranks;  // of each symbol with the next
  size_t count = symbols.size();
  ranks.resize(count);
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = Lookup(symbols[i], symbols[i + 1]);
  while (count > 1) {
    const auto best = std::min_element(ranks.begin(), ranks.begin() + static_cast<ptrdiff_t>(count) - 1,
                                       [](uint64_t a, uint64_t b) { return a < b; });
    if (*best == kNoMerge) break;
    const auto i = static_cast<size_t>(best - ranks.begin());
    symbols[i] = static_cast<int32_t>(*best & 0xFFFFFFFFu);
    std::move(symbols.begin() + static_cast<ptrdiff_t>(i) + 2, symbols.begin() + static_cast<ptrdiff_t>(count),
              symbols.begin() + static_cast<ptrdiff_t>(i) + 1);
    if (i + 2 < count) {
      std::move(ranks.begin() + static_cast<ptrdiff_t>(i) + 2, ranks.begin() + static_cast<ptrdiff_t>(count) - 1,
                ranks.begin() + static_cast<ptrdiff_t>(i) + 1);
    }
    --count;
    if (i > 0) ranks[i - 1] = Lookup(symbols[i - 1], symbols[i]);
    if (i + 1 < count) ranks[i] = Lookup(symbols[i], symbols[i + 1]);
  }
  symbols.resize(count);
}

void BytePairEncoder::MergeLong(Memory& memory) const {
  auto& symbols = memory.symbols;
  constexpr int32_t kGone = -1;
  const auto count = static_cast<int64_t>(symbols.size());
  std::vector<int64_t> previous(symbols.size()), next(symbols.size());
  struct Candidate {
    uint64_t merge;
    int64_t left;
    bool operator>(const Candidate& other) const {
      return merge != other.merge ? merge > other.merge : left > other.left;
    }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto at = [&](int64_t i) -> int32_t& { return symbols[static_cast<size_t>(i)]; };
  const auto offer = [&](int64_t left, int64_t right) {
    const uint64_t merge = Lookup(at(left), at(right));
    if (merge != kNoMerge) queue.push({merge, left});
  };
  for (int64_t i = 0; i < count; ++i) {
    previous[static_cast<size_t>(i)] = i - 1;
    next[static_cast<size_t>(i)] = i + 1;
    if (i + 1 < count) offer(i, i + 1);
  }
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const int64_t left = best.left, right = next[static_cast<size_t>(left)];
    // Either symbol may have been merged since.
    if (at(left) == kGone || right == count || Lookup(at(left), at(right)) != best.merge) continue;
    at(left) = static_cast<int32_t>(best.merge & 0xFFFFFFFFu);
    at(right) = kGone;
    const int64_t after = next[static_cast<size_t>(right)], before = previous[static_cast<size_t>(left)];
    next[static_cast<size_t>(left)] = after;
    if (after < count) {
      previous[static_cast<size_t>(after)] = left;
      offer(left, after);
    }
    if (before >= 0) offer(before, left);
  }
  std::erase(symbols, kGone);
}

}  // namespace lockstep::data
