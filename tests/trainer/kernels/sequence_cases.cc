// Cases of ops over sequences.
#include <algorithm>
#include <iterator>

#include "tests/trainer/kernels/families.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using graph::OpKind;

// Embeddings.
struct EmbeddingGeometry {
  std::string name;
  Shape id;
  int64_t entries, channels;
  int64_t positions = 0;  ///< rows of the position table; 0: none
  float scale = 1;
  bool sinusoids = false;
};
const std::vector<EmbeddingGeometry> kEmbeddings = {
    {"tokens", {3, 5}, 17, 16},
    {"with positions", {4, 6}, 11, 12, 6},
    {"more positions than places", {3, 7}, 5, 33, 19},
    {"scaled", {2, 9}, 23, 24, 0, 4.5f},
    {"scaled, with positions", {5, 3}, 7, 5, 4, 0.3f},
    {"sinusoids", {2, 31}, 9, 20, 0, 4.0f, true},
    {"sinusoids, odd channels", {3, 300}, 4, 3, 0, 1, true},
    {"one token", {1, 1}, 1, 1},
    {"a sequence without batch", {40}, 6, 8, 40},
    {"three dimensions", {2, 3, 4}, 13, 7, 4},
    {"few entries, many tokens", {16, 65}, 3, 10, 65},
    {"many entries", {2, 8}, 5000, 9},
};
OpCase EmbeddingCase(const EmbeddingGeometry& g) {
  return {g.name,
          {Ids(g.id, static_cast<int>(g.entries)), Weight({g.entries, g.channels}),
           g.positions > 0 ? Weight({g.positions, g.channels}) : Absent()},
          graph::EmbeddingAttributes{.scale = g.scale, .sinusoids = g.sinusoids, .table = {}, .position = {}}};
}
/// Rows that begin at places of their own, past the last one too.
const std::vector<OpCase> kLaterPlaces = {
    {"positions from a place on",
     {Ids({5, 3}, 9), Weight({9, 12}), Weight({20, 12}), Lengths(5, 20)},
     graph::EmbeddingAttributes{}},
    {"sinusoids from a place on",
     {Ids({6, 1}, 9), Weight({9, 7}), Absent(), Lengths(6, 30)},
     graph::EmbeddingAttributes{.scale = 3, .sinusoids = true, .positions = 31, .table = {}, .position = {}}},
};
OpCase EmbeddingGradCase(const EmbeddingGeometry& g) {
  std::vector<int64_t> dims(g.id.dims().begin(), g.id.dims().end());
  dims.push_back(g.channels);
  return {g.name,
          {F(Shape(std::span<const int64_t>(dims))), Ids(g.id, static_cast<int>(g.entries))},
          graph::EmbeddingAttributes{.scale = g.scale,
                                     .sinusoids = g.sinusoids,
                                     .table = {g.entries, g.channels},
                                     .position = g.positions > 0 ? Shape{g.positions, g.channels} : Shape{}},
          g.positions > 0 ? std::vector<int>{} : std::vector{1}};
}

// Rotary positions.
const std::vector<OpCase> kRotaries = {
    {"heads alone", {F({2, 5, 24})}, graph::RotaryAttributes{.heads = 3, .head_size = 8}},
    {"something behind", {F({3, 7, 30})}, graph::RotaryAttributes{.heads = 2, .head_size = 10}},
    {"one pair", {F({1, 3, 2})}, graph::RotaryAttributes{.heads = 1, .head_size = 2}},
    {"far places", {F({1, 1500, 16})}, graph::RotaryAttributes{.heads = 1, .head_size = 16}},
    {"another base", {F({2, 33, 64})}, graph::RotaryAttributes{.heads = 1, .head_size = 64, .base = 500000}},
    {"inverse", {F({2, 9, 48})}, graph::RotaryAttributes{.heads = 2, .head_size = 16, .inverse = true}},
    {"a sequence without batch", {F({6, 8})}, graph::RotaryAttributes{.heads = 2, .head_size = 4}},
    {"from a place on",
     {F({5, 4, 30}), Lengths(5, 40)},
     graph::RotaryAttributes{.heads = 2, .head_size = 10, .positions = 42}},
};

// Caches of keys and values.
const std::vector<OpCase> kCacheAppends = {
    {"one place", {F({3, 9, 8}), F({3, 1, 8}), Lengths(3, 8)}, graph::SliceAttributes{0, 8}},
    {"channels of several", {F({4, 12, 6}), F({4, 3, 15}), Lengths(4, 9)}, graph::SliceAttributes{9, 15}},
    {"past the end", {F({2, 5, 3}), F({2, 4, 3}), Lengths(2, 5)}, graph::SliceAttributes{0, 3}},
};

// Attention.
struct AttentionGeometry {
  std::string name;
  int64_t n, queries;
  int heads, kv_heads;
  int64_t size;
  bool causal = false, lengths = false;
  int64_t memory = 0;  ///< places of the memory; 0: none
  double scale = 1;    ///< of queries, keys and values

  graph::AttentionAttributes Attributes() const { return {heads, kv_heads, causal}; }
  Shape Query() const { return {n, queries, (memory > 0 ? heads : heads + 2 * kv_heads) * size}; }
  Operand Memory() const { return memory > 0 ? F({n, memory, 2 * kv_heads * size}).Scaled(scale) : Absent(); }
  Operand Length() const { return lengths ? Lengths(n, static_cast<int>(memory > 0 ? memory : queries)) : Absent(); }
  std::vector<int> Unwanted() const { return memory > 0 ? std::vector<int>{} : std::vector{1}; }
};
const std::vector<AttentionGeometry> kAttentions = {
    {"small", 2, 5, 2, 2, 4},
    {"causal", 2, 20, 2, 2, 8, true},
    {"one place", 3, 1, 2, 2, 6, true},
    {"one dimension", 1, 3, 1, 1, 1},
    {"a whole tile, causal", 1, 64, 2, 2, 32, true},
    {"several tiles", 1, 150, 1, 1, 16},
    {"several tiles, causal", 1, 277, 1, 1, 16, true},
    {"odd", 2, 37, 3, 3, 13},
    {"odd, causal", 2, 71, 3, 3, 19, true},
    {"wide heads", 1, 33, 2, 2, 64, true},
    {"very wide heads", 1, 17, 1, 1, 130},
    {"grouped heads", 2, 19, 6, 2, 8},
    {"one head of keys, causal", 2, 40, 4, 1, 16, true},
    {"lengths", 5, 23, 2, 2, 8, false, true},
    {"lengths, causal", 5, 70, 2, 1, 8, true, true},
    {"memory", 2, 9, 2, 2, 8, false, false, 21},
    {"long memory", 1, 3, 2, 2, 16, false, false, 300},
    {"memory of one place", 2, 30, 2, 2, 4, false, false, 1},
    {"memory, lengths", 6, 20, 4, 4, 32, false, true, 24},
    {"memory, lengths, grouped heads", 6, 11, 4, 2, 5, false, true, 140},
    {"queries behind a memory", 4, 1, 2, 2, 8, true, true, 40},
    {"several queries behind a memory, grouped heads", 3, 7, 4, 2, 8, true, true, 90},
    {"a tile of queries behind a memory", 1, 70, 2, 2, 16, true, false, 150},
    {"steep", 2, 80, 2, 2, 16, true, false, 0, 6},
    {"flat", 2, 50, 2, 2, 16, false, false, 0, 1e-3},
};
OpCase AttentionCase(const AttentionGeometry& g) {
  return {g.name, {F(g.Query()).Scaled(g.scale), g.Memory(), g.Length()}, g.Attributes()};
}
OpCase AttentionAloneCase(const AttentionGeometry& g) {
  OpCase op_case = AttentionCase(g);
  op_case.name += ", y alone";
  op_case.unwanted = {1};
  return op_case;
}
OpCase AttentionGradCase(const AttentionGeometry& g) {
  const auto forward = [](int output) { return ResultOf(OpKind::kAttention, {1, 2, 3}, output); };
  return {g.name,
          {F({g.n, g.queries, g.heads * g.size}), F(g.Query()).Scaled(g.scale), g.Memory(), g.Length(), forward(0),
           forward(1)},
          g.Attributes(),
          g.Unwanted()};
}

// SwiGLU.
const std::vector<Shape> kSwiGlus = {{1, 1}, {5, 7}, {2, 3, 64}, {3, 1001}, {40, 33}};
OpCase SwiGluCase(const Shape& y) {
  std::vector<int64_t> dims(y.dims().begin(), y.dims().end());
  dims.back() *= 2;
  return {y.ToString(), {F(Shape(std::span<const int64_t>(dims))).Scaled(3)}, graph::NoAttributes{}};
}
OpCase SwiGluGradCase(const Shape& y) {
  return {y.ToString(), {F(y), SwiGluCase(y).operands[0]}, graph::NoAttributes{}};
}

}  // namespace

std::vector<OpCase> EmbeddingCases() { return Map(kEmbeddings, EmbeddingCase) + kLaterPlaces; }
std::vector<OpCase> EmbeddingGradCases() { return Map(kEmbeddings, EmbeddingGradCase); }
std::vector<OpCase> RotaryCases() { return kRotaries; }
std::vector<OpCase> CacheAppendCases() { return kCacheAppends; }
std::vector<OpCase> AttentionCases() { return Map(kAttentions, AttentionCase) + Map(kAttentions, AttentionAloneCase); }
std::vector<OpCase> AttentionGradCases() {
  std::vector<AttentionGeometry> trained;
  std::copy_if(kAttentions.begin(), kAttentions.end(), std::back_inserter(trained),
               [](const AttentionGeometry& g) { return !g.causal || g.memory == 0; });
  return Map(trained, AttentionGradCase);
}
std::vector<OpCase> SwiGluCases() { return Map(kSwiGlus, SwiGluCase); }
std::vector<OpCase> SwiGluGradCases() { return Map(kSwiGlus, SwiGluGradCase); }

}  // namespace lockstep::conformance
