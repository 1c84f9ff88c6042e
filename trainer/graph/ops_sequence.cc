// Ops over sequences [batch, time, channels].
#include "trainer/graph/op_rows.h"

namespace lockstep::graph {
namespace {

/// Where rows of `shape` begin to count their positions, where that is given.
void RequireFirst(const Op& op, const Graph& graph, int input, const Shape& shape) {
  if (!HasInput(op, input)) return;
  RequireDType(op, InputOf(graph, op, input), "first", DType::kI32);
  RequireShape(op, InputOf(graph, op, input), "first", {shape.dim(0)});
}

// Embedding.

std::vector<OutputSpec> InferEmbedding(const Graph& graph, const Op& op) {
  const Value& id = InputOf(graph, op, 0);
  const Value& table = InputOf(graph, op, 1);
  const auto& attributes = AttributesOf<EmbeddingAttributes>(op);
  RequireDType(op, id, "id", DType::kI32);
  RequireDType(op, table, "table", DType::kF32);
  RequireRank(op, table, "table", 2);
  if (id.shape.rank() < 1) Reject(op, fmt::format("id has shape {}, but positions are needed", id.shape.ToString()));
  const int64_t positions = id.shape.dim(-1), channels = table.shape.dim(1);
  if (HasInput(op, 2)) {
    const Value& position = InputOf(graph, op, 2);
    RequireRank(op, position, "position", 2);
    if (position.shape.dim(0) < positions || position.shape.dim(1) != channels) {
      Reject(op, fmt::format("position has shape {}, but {} positions of {} channels are needed",
                             position.shape.ToString(), positions, channels));
    }
    CHECK(!attributes.sinusoids, "{} has positions of two kinds", op.name);
  }
  RequireFirst(op, graph, 3, id.shape);
  std::vector<int64_t> dims(id.shape.dims().begin(), id.shape.dims().end());
  dims.push_back(channels);
  return {{Shape(std::span<const int64_t>(dims)), attributes.result}};
}

std::vector<OutputSpec> InferEmbeddingGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& id = InputOf(graph, op, 1);
  const auto& attributes = AttributesOf<EmbeddingAttributes>(op);
  RequireFloat(op, dy, "dy");
  RequireDType(op, id, "id", DType::kI32);
  RequireShape(op, id, "id", WithoutLast(dy.shape));
  RequireResult(op, attributes.table, 2);
  const bool positions = attributes.position.rank() > 0;
  return {{attributes.table, DType::kF32}, {positions ? attributes.position : Shape{1, 1}, DType::kF32}};
}

void EmbeddingGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  CHECK(!HasInput(op, 3), "{} is of inference", op.name);
  EmbeddingAttributes attributes = AttributesOf<EmbeddingAttributes>(op);
  attributes.table = InputShape(context, 1);
  if (HasInput(op, 2)) attributes.position = InputShape(context, 2);
  const std::vector<ValueId> gradients =
      context.Emit(OpKind::kEmbeddingGrad, {context.OutputGradient(0), op.inputs[0]}, attributes, "/grad");
  // In arena order: the position table is created after the table.
  if (context.Wanted(2)) context.Accumulate(2, gradients[1]);
  if (context.Wanted(1)) context.Accumulate(1, gradients[0]);
}

// Rotary positions.

std::vector<OutputSpec> InferRotary(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const auto& attributes = AttributesOf<RotaryAttributes>(op);
  RequireFloat(op, x, "x");
  if (x.shape.rank() < 2) Reject(op, fmt::format("x has shape {}, but positions are needed", x.shape.ToString()));
  if (attributes.head_size < 2 || attributes.head_size % 2 != 0)
    Reject(op, fmt::format("heads of {} dimensions have no pairs", attributes.head_size), "use an even number");
  if (attributes.heads * attributes.head_size > x.shape.dim(-1)) {
    Reject(op, fmt::format("{} heads of {} are more than the {} channels", attributes.heads, attributes.head_size,
                           x.shape.dim(-1)));
  }
  RequireFirst(op, graph, 1, x.shape);
  return {{x.shape, x.dtype}};
}

void RotaryGradient(GradientContext& context) {
  CHECK(!HasInput(context.op(), 1), "{} is of inference", context.op().name);
  RotaryAttributes attributes = AttributesOf<RotaryAttributes>(context.op());
  attributes.inverse = !attributes.inverse;
  context.Accumulate(0, context.Emit(OpKind::kRotary, {context.OutputGradient(0)}, attributes, "/grad")[0]);
}

// Caches of keys and values.

std::vector<OutputSpec> InferCacheAppend(const Graph& graph, const Op& op) {
  const Value& cache = InputOf(graph, op, 0);
  const Value& x = InputOf(graph, op, 1);
  const auto& attributes = AttributesOf<SliceAttributes>(op);
  RequireFloat(op, cache, "cache");
  RequireRank(op, cache, "cache", 3);
  RequireDType(op, x, "x", cache.dtype);
  RequireRank(op, x, "x", 3);
  RequireFirst(op, graph, 2, cache.shape);
  CHECK(x.shape.dim(0) == cache.shape.dim(0) && 0 <= attributes.begin && attributes.end <= x.shape.dim(2) &&
            attributes.end - attributes.begin == cache.shape.dim(2),
        "{}: channels {} to {} of {} for {}", op.name, attributes.begin, attributes.end, x.shape.ToString(),
        cache.shape.ToString());
  return {{cache.shape, cache.dtype}};
}

// Attention.

struct AttentionShape {
  int64_t rows, queries, keys, head_size;
};

AttentionShape RequireAttention(const Graph& graph, const Op& op, const Value& query, int memory_input) {
  const auto& attributes = AttributesOf<AttentionAttributes>(op);
  const int heads = attributes.heads, kv_heads = attributes.kv_heads;
  CHECK(heads >= 1 && kv_heads >= 1 && heads % kv_heads == 0, "{}: {} heads, {} of keys", op.name, heads, kv_heads);
  RequireFloat(op, query, "query");
  RequireRank(op, query, "query", 3);
  const int64_t parts = HasInput(op, memory_input) ? heads : heads + 2 * kv_heads, width = query.shape.dim(2);
  if (width % parts != 0)
    Reject(op, fmt::format("query has {} channels, which {} heads can't share", width, parts),
           "use a width that the number of heads divides");
  AttentionShape shape{query.shape.dim(0), query.shape.dim(1), query.shape.dim(1), width / parts};
  if (HasInput(op, memory_input)) {
    const Value& memory = InputOf(graph, op, memory_input);
    CHECK(!attributes.causal || op.kind == OpKind::kAttention, "{} attends to a memory, and causally", op.name);
    RequireFloat(op, memory, "memory");
    RequireRank(op, memory, "memory", 3);
    shape.keys = memory.shape.dim(1);
    RequireShape(op, memory, "memory", {shape.rows, shape.keys, 2 * kv_heads * shape.head_size});
  }
  if (HasInput(op, memory_input + 1)) {
    RequireDType(op, InputOf(graph, op, memory_input + 1), "length", DType::kI32);
    RequireShape(op, InputOf(graph, op, memory_input + 1), "length", {shape.rows});
  }
  return shape;
}

std::vector<OutputSpec> InferAttention(const Graph& graph, const Op& op) {
  const Value& query = InputOf(graph, op, 0);
  const AttentionShape shape = RequireAttention(graph, op, query, 1);
  const int heads = AttributesOf<AttentionAttributes>(op).heads;
  return {{{shape.rows, shape.queries, heads * shape.head_size}, query.dtype},
          {{shape.rows, heads, shape.queries}, DType::kF32}};
}

std::vector<OutputSpec> InferAttentionGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& query = InputOf(graph, op, 1);
  const AttentionShape shape = RequireAttention(graph, op, query, 2);
  const int heads = AttributesOf<AttentionAttributes>(op).heads;
  RequireShape(op, dy, "dy", {shape.rows, shape.queries, heads * shape.head_size});
  RequireShape(op, InputOf(graph, op, 4), "y", dy.shape);
  RequireShape(op, InputOf(graph, op, 5), "lse", {shape.rows, heads, shape.queries});
  const Shape memory = HasInput(op, 2) ? InputOf(graph, op, 2).shape : Shape{1, 1, 1};
  return {{query.shape, dy.dtype}, {memory, dy.dtype}};
}

void AttentionGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  CHECK(op.outputs[1] != kNoValue, "{} has no lse", op.name);
  const std::vector<ValueId> gradients =
      context.Emit(OpKind::kAttentionGrad,
                   {context.OutputGradient(0), op.inputs[0], op.inputs[1], op.inputs[2], op.outputs[0], op.outputs[1]},
                   op.attributes, "/grad");
  if (context.Wanted(0)) context.Accumulate(0, gradients[0]);
  if (context.Wanted(1)) context.Accumulate(1, gradients[1]);
}

/// Two products of queries with keys (five in the gradient), each a multiplication and an addition a term; half of it
/// where keys behind the query are left out.
double FlopsOfProducts(const Graph& graph, const Op& op, int query_input, double products) {
  const auto& attributes = AttributesOf<AttentionAttributes>(op);
  const AttentionShape shape = RequireAttention(graph, op, InputOf(graph, op, query_input), query_input + 1);
  const double all = static_cast<double>(shape.rows * attributes.heads) * static_cast<double>(shape.queries) *
                     static_cast<double>(shape.keys * shape.head_size);
  return 2 * products * all / (attributes.causal ? 2 : 1);
}
double AttentionFlops(const Graph& graph, const Op& op) { return FlopsOfProducts(graph, op, 0, 2); }
double AttentionGradFlops(const Graph& graph, const Op& op) { return FlopsOfProducts(graph, op, 1, 5); }

// SwiGLU.

std::vector<OutputSpec> InferSwiGlu(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  RequireFloat(op, x, "x");
  if (x.shape.rank() < 1 || x.shape.dim(-1) % 2 != 0)
    Reject(op, fmt::format("x has shape {}, but two halves are needed", x.shape.ToString()));
  return {{WithLast(x.shape, x.shape.dim(-1) / 2), x.dtype}};
}

std::vector<OutputSpec> InferSwiGluGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const Value& x = InputOf(graph, op, 1);
  RequireFloat(op, dy, "dy");
  RequireShape(op, x, "x", WithLast(dy.shape, 2 * dy.shape.dim(-1)));
  return {{x.shape, dy.dtype}};
}

void SwiGluGradient(GradientContext& context) {
  const Op op = context.op();  // a copy: emitting moves the graph's ops
  context.Accumulate(
      0, context.Emit(OpKind::kSwiGluGrad, {context.OutputGradient(0), op.inputs[0]}, op.attributes, "/grad")[0]);
}

// Windows.

std::vector<OutputSpec> InferWindows(const Graph& graph, const Op& op) {
  const Value& x = InputOf(graph, op, 0);
  const auto& attributes = AttributesOf<WindowsAttributes>(op);
  RequireFloat(op, x, "x");
  RequireRank(op, x, "x", 3);
  const int64_t positions =
      RequireWindow(op, x.shape, x.shape.dim(1), attributes.kernel, attributes.stride, attributes.padding);
  return {{{x.shape.dim(0), positions, x.shape.dim(2) * attributes.kernel}, x.dtype}};
}

std::vector<OutputSpec> InferWindowsGrad(const Graph& graph, const Op& op) {
  const Value& dy = InputOf(graph, op, 0);
  const auto& attributes = AttributesOf<WindowsAttributes>(op);
  const Shape& x = attributes.result;
  RequireFloat(op, dy, "dy");
  RequireResult(op, x, 3);
  const int64_t positions = RequireWindow(op, x, x.dim(1), attributes.kernel, attributes.stride, attributes.padding);
  RequireShape(op, dy, "dy", {x.dim(0), positions, x.dim(2) * attributes.kernel});
  return {{x, dy.dtype}};
}

void WindowsGradient(GradientContext& context) {
  WindowsAttributes attributes = AttributesOf<WindowsAttributes>(context.op());
  attributes.result = InputShape(context, 0);
  context.Accumulate(0, context.Emit(OpKind::kWindowsGrad, {context.OutputGradient(0)}, attributes, "/grad")[0]);
}

constexpr OpRow kRows[] = {
    {OpKind::kEmbedding, "embedding", "id, table, position?, first?", "y", "y = scale table[id] + position",
     InferEmbedding, EmbeddingGradient, -1, FlopsPerElement},
    {OpKind::kRotary, "rotary", "x, first?", "y", "y = x, its heads turned by their position", InferRotary,
     RotaryGradient, 0, FlopsPerElement},
    {OpKind::kCacheAppend, "cache_append", "cache, x, first", "y", "y = the cache, with x at its positions",
     InferCacheAppend, nullptr, -1, NoFlops},
    {OpKind::kAttention, "attention", "query, memory?, length?", "y, lse?", "y = softmax(q k^T / sqrt(d)) v",
     InferAttention, AttentionGradient, -1, AttentionFlops},
    {OpKind::kSwiGlu, "swiglu", "x", "y", "y = silu(first half of x) second half of x", InferSwiGlu, SwiGluGradient, -1,
     FlopsPerElement},
    {OpKind::kWindows, "windows", "x", "y", "y = windows of x side by side", InferWindows, WindowsGradient, -1,
     NoFlops},
    {OpKind::kWindowsGrad, "windows_grad", "dy", "dx", "dx = the sum over windows of dy", InferWindowsGrad, nullptr, -1,
     FlopsPerElement},
    {OpKind::kEmbeddingGrad, "embedding_grad", "dy, id", "dtable, dposition?", "the gradients of embedding",
     InferEmbeddingGrad, nullptr, -1, FlopsPerElement},
    {OpKind::kAttentionGrad, "attention_grad", "dy, query, memory?, length?, y, lse", "dquery, dmemory?",
     "the gradients of attention", InferAttentionGrad, nullptr, -1, AttentionGradFlops},
    {OpKind::kSwiGluGrad, "swiglu_grad", "dy, x", "dx", "the gradient of swiglu", InferSwiGluGrad, nullptr, -1,
     FlopsPerElement},
};

}  // namespace

std::span<const OpRow> SequenceRows() { return kRows; }

}  // namespace lockstep::graph
