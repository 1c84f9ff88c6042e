// Embeddings, rotary positions and attention, spelled out.
#include <algorithm>
#include <cmath>
#include <limits>

#include "trainer/onnx/export/emitters.h"

namespace lockstep::onnx {
namespace {

using graph::OpKind;

/// Positions that tables of sines and cosines have where the model's time varies and nothing says how far it goes.
constexpr int64_t kTablePositions = 4096;

/// What `angle(position, dimension)` says of `positions` and `columns`, in double precision.
template <typename F>
std::string Table(Emission& e, int64_t positions, int64_t columns, const F& value) {
  std::vector<float> table;
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t c = 0; c < columns; ++c) table.push_back(static_cast<float>(value(p, c)));
  return e.writer().Floats(table, {positions, columns});
}

double Angle(int64_t position, double base, int64_t pair, int64_t size) {
  return static_cast<double>(position) * std::pow(base, -2 * static_cast<double>(pair) / static_cast<double>(size));
}

/// The first rows of a table, as many as there are positions.
std::string FirstRows(Emission& e, const std::string& table, int64_t rows, const Size& positions) {
  if (IsFixed(positions) && positions[0] == rows) return table;
  return e.Node("Slice", {table, e.writer().Integers({0}), e.SizeTensor(positions), e.writer().Integers({0})});
}

int64_t TableRows(const Size& positions) { return IsFixed(positions) ? positions[0] : kTablePositions; }

/// Rows of ids that are -1 are zeros. Among the inputs of families only categories have such.
bool MayBeAbsent(const Emission& e, graph::ValueId id) { return e.graph().value(id).name == "categories"; }

std::string Lookup(Emission& e) {
  const graph::ValueId id = e.op().inputs[0];
  if (!MayBeAbsent(e, id)) return e.Node("Gather", {e.Input(1), e.Input(0)});
  const std::string none = e.writer().Integer(0);
  const std::string rows = e.Node("Gather", {e.Input(1), e.Node("Max", {e.Input(0), none})});
  const std::string absent = e.Unsqueeze(e.Node("Less", {e.Input(0), none}), {-1});
  return e.Node("Where", {absent, e.writer().Float(0), rows});
}

void EmitEmbedding(Emission& e) {
  const auto& attributes = e.op().as<graph::EmbeddingAttributes>();
  if (e.Has(3)) e.Fail("an embedding that goes on from a position can't be written");
  std::string y = Lookup(e);
  if (attributes.scale != 1) y = e.Node("Mul", {y, e.writer().Float(attributes.scale)});
  const Size positions = e.sizes().Of(e.op().inputs[0], e.InputShape(0).rank() - 1);
  if (e.Has(2)) y = e.Node("Add", {y, FirstRows(e, e.Input(2), e.InputShape(2)[0], positions)});
  if (attributes.sinusoids) {
    const int64_t channels = e.InputShape(1)[1], rows = TableRows(positions);
    const std::string table = Table(e, rows, channels, [&](int64_t p, int64_t c) {
      const double angle = Angle(p, 10000, c / 2, channels);
      return c % 2 == 0 ? std::sin(angle) : std::cos(angle);
    });
    y = e.Node("Add", {y, FirstRows(e, table, rows, positions)});
  }
  e.Result(y);
}

void EmitRotary(Emission& e) {
  const auto& attributes = e.op().as<graph::RotaryAttributes>();
  if (e.Has(1)) e.Fail("rotary positions that go on from a position can't be written");
  if (e.InputShape(0).rank() != 3) e.Fail("rotary positions of other than [batch, time, channels] can't be written");
  const int64_t heads = attributes.heads, size = attributes.head_size, half = size / 2;
  const int64_t turned = heads * size, channels = e.InputShape(0)[2];
  const Size positions = e.sizes().Of(e.op().inputs[0], 1);
  const int64_t rows = TableRows(positions);
  const auto table = [&](double (*of)(double)) {
    const std::string all =
        Table(e, rows, half, [&](int64_t p, int64_t c) { return of(Angle(p, double{attributes.base}, c, size)); });
    return e.Unsqueeze(FirstRows(e, all, rows, positions), {1});
  };
  const std::string cosine = table(std::cos), sine = table(std::sin);
  const std::string x = e.Input(0);
  const std::string first = turned == channels ? x : e.Slice(x, 2, 0, turned);
  const std::string by_head = e.Reshape(first, {0, 0, heads, size});
  const std::string a = e.Slice(by_head, 3, 0, half), b = e.Slice(by_head, 3, half, size);
  const auto product = [&](const std::string& p, const std::string& q) { return e.Node("Mul", {p, q}); };
  const std::string front = e.Node("Sub", {product(a, cosine), product(b, sine)});
  const std::string back = e.Node("Add", {product(b, cosine), product(a, sine)});
  std::string y = e.Reshape(e.Node("Concat", {front, back}, {Attribute("axis", 3)}), {0, 0, turned});
  if (turned < channels) y = e.Node("Concat", {y, e.Slice(x, 2, turned, channels)}, {Attribute("axis", 2)});
  e.Result(y);
}

/// Heads as a dimension: [n, t, groups' size d] -> [n, kv_heads, group, t, d], of one head in a group [n, heads, t, d].
struct Heads {
  int64_t kv_heads, group, size;

  bool grouped() const { return group > 1; }
  std::string Query(Emission& e, const std::string& x) const {
    if (!grouped()) return e.Transpose(e.Reshape(x, {0, 0, kv_heads, size}), std::array{0, 2, 1, 3});
    return e.Transpose(e.Reshape(x, {0, 0, kv_heads, group, size}), std::array{0, 2, 3, 1, 4});
  }
  /// `order`: of [n, s, heads, d].
  std::string Memory(Emission& e, const std::string& x, std::array<int, 4> order) const {
    const std::string y = e.Transpose(e.Reshape(x, {0, 0, kv_heads, size}), order);
    return grouped() ? e.Unsqueeze(y, {2}) : y;
  }
  std::string Result(Emission& e, const std::string& y) const {
    const std::string back =
        grouped() ? e.Transpose(y, std::array{0, 3, 1, 2, 4}) : e.Transpose(y, std::array{0, 2, 1, 3});
    return e.Reshape(back, {0, 0, kv_heads * group * size});
  }
};

/// True where a query sees a key: [t, s]. Both count from 0.
std::string CausalMask(Emission& e, const Size& queries, const Size& keys) {
  return e.Node("GreaterOrEqual", {e.Unsqueeze(e.Range(queries), {1}), e.Range(keys)});
}

/// True below a row's length: [n, 1, 1, s], with as many ones as scores have dimensions for heads and queries.
std::string LengthMask(Emission& e, const std::string& length, const Size& keys, bool grouped) {
  const std::string by_row = grouped ? e.Unsqueeze(length, {1, 2, 3, 4}) : e.Unsqueeze(length, {1, 2, 3});
  return e.Node("Less", {e.Range(keys), by_row});
}

/// What hides a key: its exponential is 0 beside any score. Not infinite, so that rows without any key are numbers.
std::string Hidden(Emission& e) {
  return e.writer().Float(e.writer().float_type() == TensorProto::FLOAT16 ? -65504.0f
                                                                          : std::numeric_limits<float>::lowest());
}

void EmitAttention(Emission& e) {
  const auto& attributes = e.op().as<graph::AttentionAttributes>();
  const bool has_memory = e.Has(1);
  if (has_memory && attributes.causal) e.Fail("causal attention to a memory can't be written");
  const int64_t width = e.ResultShape()[2], size = width / attributes.heads, kv = attributes.kv_heads * size;
  const Heads heads{attributes.kv_heads, attributes.heads / attributes.kv_heads, size};
  const std::string query = e.Input(0), memory = has_memory ? e.Input(1) : query;
  const int64_t begin = has_memory ? 0 : width;
  const std::string by_head = heads.Query(e, has_memory ? query : e.Slice(query, 2, 0, width));
  const std::string q = e.Node("Mul", {by_head, e.writer().Float(1 / std::sqrt(static_cast<float>(size)))});
  const std::string k = heads.Memory(e, e.Slice(memory, 2, begin, begin + kv), {0, 2, 3, 1});
  const std::string v = heads.Memory(e, e.Slice(memory, 2, begin + kv, begin + 2 * kv), {0, 2, 1, 3});

  std::string scores = e.Node("MatMul", {q, k});
  const Size queries = e.sizes().Of(e.op().inputs[0], 1);
  const Size keys = has_memory ? e.sizes().Of(e.op().inputs[1], 1) : queries;
  if (attributes.causal) scores = e.Node("Where", {CausalMask(e, queries, keys), scores, Hidden(e)});
  const std::string seen = e.Has(2) ? LengthMask(e, e.Input(2), keys, heads.grouped()) : "";
  if (!seen.empty()) scores = e.Node("Where", {seen, scores, Hidden(e)});
  std::string share = e.Node("Softmax", {scores}, {Attribute("axis", -1)});
  // What sees no key at all is 0.
  if (!seen.empty()) share = e.Node("Where", {seen, share, e.writer().Float(0)});
  e.Result(heads.Result(e, e.Node("MatMul", {share, v})));
}

constexpr EmitterRow kRows[] = {
    {OpKind::kEmbedding, EmitEmbedding},
    {OpKind::kRotary, EmitRotary},
    {OpKind::kAttention, EmitAttention},
};

}  // namespace

std::span<const EmitterRow> SequenceEmitters() { return kRows; }

}  // namespace lockstep::onnx
