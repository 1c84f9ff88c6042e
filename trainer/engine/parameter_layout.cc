#include "trainer/engine/parameter_layout.h"

#include <algorithm>
#include <bit>
#include <span>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"

namespace lockstep::engine {
namespace {

constexpr int64_t kEntryAlignment = static_cast<int64_t>(kValueAlignment / sizeof(float));
static_assert(kChunkElements % kEntryAlignment == 0);

int64_t RoundUp(int64_t value, int64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

}  // namespace

ParameterLayout::ParameterLayout(const graph::Graph& graph) {
  int64_t end = 0;
  const auto append = [&](graph::ValueId id, bool statistic) {
    const graph::Value& value = graph.value(id);
    CHECK(value.dtype == DType::kF32, "{} is {}", value.name, Name(value.dtype));
    CHECK(Find(value.name) == nullptr, "two parameters are named {}", value.name);
    entries_.push_back({.name = value.name, .shape = value.shape, .value = id, .offset = end, .statistic = statistic});
    end = RoundUp(end + value.shape.size(), kEntryAlignment);
  };
  for (auto id = graph.parameters.rbegin(); id != graph.parameters.rend(); ++id) {
    append(*id, false);
    parameter_count_ += entries_.back().size();
  }
  parameter_elements_ = end = RoundUp(end, kChunkElements);
  for (graph::ValueId id : graph.statistics) append(id, true);
  elements_ = RoundUp(end, kChunkElements);
}

const ArenaEntry* ParameterLayout::Find(const std::string& name) const {
  for (const ArenaEntry& entry : entries_) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

uint64_t HashWeights(const ParameterLayout& layout, const float* arena) {
  static_assert(std::endian::native == std::endian::little, "floats are hashed as they lie in memory");
  std::vector<const ArenaEntry*> parameters;
  for (const ArenaEntry& entry : layout.entries()) {
    if (!entry.statistic) parameters.push_back(&entry);
  }
  std::sort(parameters.begin(), parameters.end(),
            [](const ArenaEntry* a, const ArenaEntry* b) { return a->name < b->name; });
  Hasher hasher;
  for (const ArenaEntry* entry : parameters) {
    hasher.Add(entry->name);
    hasher.Add(std::as_bytes(std::span(arena + entry->offset, static_cast<size_t>(entry->size()))));
  }
  return hasher.Digest();
}

}  // namespace lockstep::engine
