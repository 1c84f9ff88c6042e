// Ops over sequences.
//
// Attention: a score s has magnitude S = sum |q k| / sqrt(d), and what it is wrong by comes through its exponential, so
// that exp(s - lse) has magnitude (1 + S + |s - lse|) exp(s - lse). K is the longest of the sums: over dimensions, keys
// or queries.
#include <algorithm>
#include <cmath>

#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

using graph::AttentionAttributes;
using graph::EmbeddingAttributes;
using graph::RotaryAttributes;

/// How far pair `pair` of `size` dimensions turns from one position to the next.
double Frequency(double base, size_t pair, int64_t size) {
  return std::pow(base, -2 * static_cast<double>(pair) / static_cast<double>(size));
}

double Sinusoid(size_t position, size_t dimension, int64_t channels) {
  const double angle = static_cast<double>(position) * Frequency(10000, dimension / 2, channels);
  return dimension % 2 == 0 ? std::sin(angle) : std::cos(angle);
}

/// What attention's operands say: inputs from `query` on are query, memory?, length?.
struct AttentionView {
  const Tensor& query;
  const Tensor& memory;  ///< the query where there is none
  const Tensor* length;
  bool has_memory, causal;
  size_t heads, kv_heads, rows, queries, keys, head_size;

  AttentionView(const Call& call, size_t input)
      : query(call.in(input)),
        memory(call.Has(input + 1) ? call.in(input + 1) : query),
        length(call.Has(input + 2) ? &call.in(input + 2) : nullptr),
        has_memory(call.Has(input + 1)) {
    const auto& attributes = call.op.as<AttentionAttributes>();
    causal = attributes.causal;
    heads = static_cast<size_t>(attributes.heads);
    kv_heads = static_cast<size_t>(attributes.kv_heads);
    rows = static_cast<size_t>(query.shape[0]);
    queries = static_cast<size_t>(query.shape[1]);
    keys = static_cast<size_t>(memory.shape[1]);
    head_size = static_cast<size_t>(query.shape[2]) / (has_memory ? heads : heads + 2 * kv_heads);
  }

  /// Keys that a query sees: the first ones.
  size_t Seen(size_t row, size_t position) const {
    const size_t all = length == nullptr ? keys : std::min(keys, static_cast<size_t>(length->data[row]));
    const size_t before = has_memory ? all - std::min(all, queries) : 0;  // the queries' own keys are the last
    return causal ? std::min(all, before + position + 1) : all;
  }
  // Where dimension 0 of a head lies: in query, and in memory for keys and values of the head that `head` reads.
  size_t Query(size_t row, size_t position, size_t head) const {
    return (row * queries + position) * static_cast<size_t>(query.shape[2]) + head * head_size;
  }
  size_t Key(size_t row, size_t position, size_t head) const {
    const size_t before = has_memory ? 0 : heads;
    return (row * keys + position) * static_cast<size_t>(memory.shape[2]) +
           (before + head * kv_heads / heads) * head_size;
  }
  size_t ValueOf(size_t row, size_t position, size_t head) const {
    return Key(row, position, head) + kv_heads * head_size;
  }
  size_t Result(size_t row, size_t position, size_t head) const {
    return ((row * queries + position) * heads + head) * head_size;
  }
  size_t Lse(size_t row, size_t position, size_t head) const { return (row * heads + head) * queries + position; }

  Shape ResultShape() const { return WithLast(query.shape, static_cast<int64_t>(heads * head_size)); }
  Shape LseShape() const { return {query.shape[0], static_cast<int64_t>(heads), query.shape[1]}; }
  int64_t Terms() const { return static_cast<int64_t>(std::max({queries * heads / kv_heads, keys, head_size})); }
  double Scale() const { return 1 / std::sqrt(static_cast<double>(head_size)); }

  Sum Dot(const Tensor& a, size_t at_a, const Tensor& b, size_t at_b) const {
    Sum sum;
    for (size_t i = 0; i < head_size; ++i) sum.Add(a.data[at_a + i] * b.data[at_b + i]);
    return sum;
  }
  std::vector<Sum> Scores(size_t row, size_t position, size_t head) const {
    std::vector<Sum> scores;
    for (size_t k = 0; k < Seen(row, position); ++k) {
      scores.push_back(Dot(query, Query(row, position, head), memory, Key(row, k, head)) * Scale());
    }
    return scores;
  }
  template <typename F>
  void ForEachQuery(F run) const {
    for (size_t row = 0; row < rows; ++row) {
      for (size_t head = 0; head < heads; ++head) {
        for (size_t position = 0; position < queries; ++position) run(row, head, position);
      }
    }
  }
};

/// The position of token `token` where input `first`, if there, says where each row's positions begin; there are
/// `most`.
size_t PositionOf(const Call& call, size_t first, size_t token, size_t positions, int64_t most) {
  if (!call.Has(first)) return token % positions;
  return std::min(static_cast<size_t>(call.in(first).data[token / positions]) + token % positions,
                  static_cast<size_t>(most) - 1);
}

/// silu(x), its slope, and what their formulas' terms add up to.
struct Silu {
  double value, slope, value_magnitude, slope_magnitude;

  explicit Silu(double x) {
    const double s = 1 / (1 + std::exp(-x)), curvature = s * (1 - s) * (2 + x * (1 - 2 * s));
    value = x * s;
    slope = s + x * s * (1 - s);
    value_magnitude = std::abs(x * slope) + std::abs(value);
    slope_magnitude = s + std::abs(x * s * (1 - s)) + std::abs(x * curvature);
  }
};

std::vector<Tensor> Embedding(const Call& call) {
  const Tensor &id = call.in(0), &table = call.in(1);
  const auto& attributes = call.op.as<EmbeddingAttributes>();
  const auto channels = static_cast<size_t>(table.shape[1]), positions = static_cast<size_t>(id.shape[-1]);
  std::vector<int64_t> dims(id.shape.dims().begin(), id.shape.dims().end());
  dims.push_back(table.shape[1]);
  const bool copies =
      attributes.scale == 1 && !call.Has(2) && !attributes.sinusoids && attributes.result == DType::kF32;
  Tensor y = Zeros(Shape(std::span<const int64_t>(dims)), 2);
  for (size_t i = 0; i < y.data.size(); ++i) {
    const size_t c = i % channels, token = i / channels;
    const size_t position =
        PositionOf(call, 3, token, positions, call.Has(2) ? call.in(2).shape[0] : attributes.positions);
    Sum sum;
    if (id.data[token] >= 0) {
      sum.Add(table.data[static_cast<size_t>(id.data[token]) * channels + c] * double{attributes.scale});
    }
    if (call.Has(2)) sum.Add(call.in(2).data[position * channels + c]);
    if (attributes.sinusoids) sum.Add(Sinusoid(position, c, table.shape[1]));
    if (copies) sum.magnitude = 0;
    Store(y, i, sum);
  }
  return {y};
}

std::vector<Tensor> EmbeddingGrad(const Call& call) {
  const Tensor &dy = call.in(0), &id = call.in(1);
  const auto& attributes = call.op.as<EmbeddingAttributes>();
  const auto channels = static_cast<size_t>(attributes.table[1]), positions = static_cast<size_t>(id.shape[-1]);
  const bool has_positions = attributes.position.rank() > 0;
  const auto terms = static_cast<int64_t>(id.data.size());
  Tensor dtable = Zeros(attributes.table, terms),
         dposition = Zeros(has_positions ? attributes.position : Shape{1, 1}, terms);
  for (size_t i = 0; i < dy.data.size(); ++i) {
    const size_t c = i % channels, token = i / channels;
    if (has_positions) Add(dposition, token % positions * channels + c, dy.data[i]);
    if (id.data[token] < 0) continue;
    Add(dtable, static_cast<size_t>(id.data[token]) * channels + c, dy.data[i] * double{attributes.scale});
  }
  return {dtable, dposition};
}

std::vector<Tensor> Rotary(const Call& call) {
  const Tensor& x = call.in(0);
  const auto& attributes = call.op.as<RotaryAttributes>();
  const auto channels = static_cast<size_t>(x.shape[-1]), positions = static_cast<size_t>(x.shape[-2]);
  const auto size = static_cast<size_t>(attributes.head_size), half = size / 2;
  const size_t turned = static_cast<size_t>(attributes.heads) * size;
  Tensor y = Zeros(x.shape, 2);
  for (size_t i = 0; i < x.data.size(); ++i) {
    const size_t c = i % channels, position = PositionOf(call, 1, i / channels, positions, attributes.positions);
    y.data[i] = x.data[i];
    if (c >= turned) continue;
    const size_t pair = c % half;
    const double angle = static_cast<double>(position) * Frequency(double{attributes.base}, pair, attributes.head_size);
    const double sine = attributes.inverse ? -std::sin(angle) : std::sin(angle);
    Sum sum;
    sum.Add(x.data[i] * std::cos(angle));
    sum.Add(c % size < half ? -x.data[i + half] * sine : x.data[i - half] * sine);
    Store(y, i, sum);
  }
  return {y};
}

std::vector<Tensor> CacheAppend(const Call& call) {
  const Tensor &x = call.in(1), &first = call.in(2);
  const auto& attributes = call.op.as<graph::SliceAttributes>();
  Tensor y = call.in(0);
  y.terms = 1;
  y.magnitude.assign(y.data.size(), 0);
  for (int64_t row = 0; row < x.shape[0]; ++row) {
    for (int64_t t = 0; t < x.shape[1]; ++t) {
      const int64_t position = static_cast<int64_t>(first.data[static_cast<size_t>(row)]) + t;
      for (int64_t c = 0; c < y.shape[2] && position < y.shape[1]; ++c) {
        y.data[static_cast<size_t>((row * y.shape[1] + position) * y.shape[2] + c)] =
            x.data[static_cast<size_t>((row * x.shape[1] + t) * x.shape[2] + attributes.begin + c)];
      }
    }
  }
  return {y};
}

std::vector<Tensor> Attention(const Call& call) {
  const AttentionView view(call, 0);
  Tensor y = Zeros(view.ResultShape(), view.Terms()), lse = Zeros(view.LseShape(), view.Terms());
  view.ForEachQuery([&](size_t row, size_t head, size_t position) {
    const std::vector<Sum> scores = view.Scores(row, position, head);
    if (scores.empty()) return;
    double largest = scores[0].value;
    for (const Sum& score : scores) largest = std::max(largest, score.value);
    // Exponentials, with magnitudes.
    Sum total;
    std::vector<Sum> weights;
    for (const Sum& score : scores) {
      const double weight = std::exp(score.value - largest);
      weights.push_back({weight, weight * (1 + score.magnitude + largest - score.value)});
      total.value += weight;
      total.magnitude += weights.back().magnitude;
    }
    const double error = total.magnitude / total.value, log = std::log(total.value);
    Store(lse, view.Lse(row, position, head), {largest + log, std::abs(largest) + std::abs(log) + error});
    for (size_t k = 0; k < weights.size(); ++k) {
      const double weight = weights[k].value / total.value;
      const double magnitude = weights[k].magnitude / total.value + weight * error;
      for (size_t i = 0; i < view.head_size; ++i) {
        const double value = view.memory.data[view.ValueOf(row, k, head) + i];
        const size_t at = view.Result(row, position, head) + i;
        y.data[at] += weight * value;
        y.magnitude[at] += magnitude * std::abs(value);
      }
    }
  });
  return {y, lse};
}

std::vector<Tensor> AttentionGrad(const Call& call) {
  const AttentionView view(call, 1);
  const Tensor &dy = call.in(0), &y = call.in(4), &lse = call.in(5);
  Tensor dquery = Zeros(view.query.shape, view.Terms());
  Tensor dmemory = Zeros(view.has_memory ? view.memory.shape : Shape{1, 1, 1}, view.Terms());
  Tensor& dkeys = view.has_memory ? dmemory : dquery;
  const auto add = [&](Tensor& to, size_t at, const Sum& factor, const Tensor& vector, size_t from) {
    for (size_t i = 0; i < view.head_size; ++i) {
      to.data[at + i] += factor.value * vector.data[from + i];
      to.magnitude[at + i] += factor.magnitude * std::abs(vector.data[from + i]);
    }
  };
  view.ForEachQuery([&](size_t row, size_t head, size_t position) {
    const std::vector<Sum> scores = view.Scores(row, position, head);
    const size_t query = view.Query(row, position, head), result = view.Result(row, position, head);
    const double row_lse = lse.data[view.Lse(row, position, head)];
    const Sum shift = view.Dot(dy, result, y, result);
    for (size_t k = 0; k < scores.size(); ++k) {
      const size_t key = view.Key(row, k, head), value = view.ValueOf(row, k, head);
      const double exponent = scores[k].value - row_lse, weight = std::exp(exponent);
      const Sum p{weight, weight * (1 + scores[k].magnitude + std::abs(row_lse))};
      const Sum dp = view.Dot(dy, result, view.memory, value);
      const double difference = dp.value - shift.value;
      const Sum ds =
          Sum{p.value * difference, p.magnitude * std::abs(difference) + p.value * (dp.magnitude + shift.magnitude)} *
          view.Scale();
      add(dkeys, value, p, dy, result);
      add(dquery, query, ds, view.memory, key);
      add(dkeys, key, ds, view.query, query);
    }
  });
  return {dquery, dmemory};
}

std::vector<Tensor> SwiGlu(const Call& call) {
  const Tensor& x = call.in(0);
  const auto half = static_cast<size_t>(x.shape[-1]) / 2;
  Tensor y = Zeros(WithLast(x.shape, x.shape[-1] / 2), 1);
  for (size_t i = 0; i < y.data.size(); ++i) {
    const size_t gate = i / half * 2 * half + i % half;
    const Silu silu(x.data[gate]);
    Store(y, i, Sum{silu.value, silu.value_magnitude} * x.data[gate + half]);
  }
  return {y};
}

std::vector<Tensor> SwiGluGrad(const Call& call) {
  const Tensor &dy = call.in(0), &x = call.in(1);
  const auto half = static_cast<size_t>(x.shape[-1]) / 2;
  Tensor dx = Zeros(x.shape, 1);
  for (size_t i = 0; i < dy.data.size(); ++i) {
    const size_t gate = i / half * 2 * half + i % half;
    const Silu silu(x.data[gate]);
    Store(dx, gate, Sum{silu.slope, silu.slope_magnitude} * (dy.data[i] * x.data[gate + half]));
    Store(dx, gate + half, Sum{silu.value, silu.value_magnitude} * dy.data[i]);
  }
  return {dx};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kEmbedding, .run = Embedding}, {.kind = OpKind::kEmbeddingGrad, .run = EmbeddingGrad},
    {.kind = OpKind::kRotary, .run = Rotary},       {.kind = OpKind::kCacheAppend, .run = CacheAppend},
    {.kind = OpKind::kAttention, .run = Attention}, {.kind = OpKind::kAttentionGrad, .run = AttentionGrad},
    {.kind = OpKind::kSwiGlu, .run = SwiGlu},       {.kind = OpKind::kSwiGluGrad, .run = SwiGluGrad},
};

}  // namespace

std::span<const OpFunction> SequenceRows() { return kRows; }

}  // namespace lockstep::reference
