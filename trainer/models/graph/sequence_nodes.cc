// Nodes that read tokens and sequences [batch, time, channels].
#include "trainer/graph/strided.h"
#include "trainer/models/blocks.h"
#include "trainer/models/graph/node.h"

namespace lockstep::models {

using graph::kNoValue;
using graph::OpKind;
using graph::ValueId;

namespace {

std::vector<ValueId> BuildEmbedding(const NodeBuild& node, const Embedding& config) {
  node.RequireInputs(1, 2);
  node.RequireIntegers(0);
  const Shape id = node.input_shape(0);
  ValueId table = kNoValue;
  if (node.inputs() > 1) {
    table = node.input(1);
    node.RequireRank(1, 2, 2, "a table [entries, width] is");
  } else {
    int64_t entries = config.entries();
    if (entries == 0) entries = node.context().words;
    if (entries == 0) node.Fail("entries is required, since the data say no number of words");
    const int64_t width = node.InRange("width", config.width(), 1, kMaxWidth);
    table = node.Parameter("weight", {entries, width}, {.deviation = 1}, true);
  }
  // The op takes ids [.., time].
  const Shape ids = id.rank() == 1 ? Shape{id[0], 1} : id;
  const ValueId y = node.Emit(OpKind::kEmbedding, {node.Reshape(node.input(0), ids, "/ids"), table, kNoValue, kNoValue},
                              graph::EmbeddingAttributes{})[0];
  return {id.rank() == 1 ? node.Reshape(y, {id[0], node.shape(table).dim(1)}, "/rows") : y};
}

/// The place of [batch, time, channels] behind which a direction has read all.
ValueId LastPlace(const NodeBuild& node, ValueId y, bool reverse, const std::string& suffix) {
  const Shape from = node.shape(y);
  const ValueId place =
      node.Emit(OpKind::kStrided, {y}, graph::Sliced(from, 1, reverse ? 0 : from[1] - 1, 1, 1), suffix + "/place")[0];
  return place;
}

ValueId ConcatAll(const NodeBuild& node, const std::vector<ValueId>& values, const std::string& suffix) {
  return values.size() == 1 ? values[0] : node.Emit(OpKind::kConcat, values, graph::ConcatAttributes{}, suffix)[0];
}

/// nn.LSTM and nn.GRU: results y [batch, time, directions hidden], hidden [batch, layers directions, hidden], and of an
/// LSTM its cell likewise. Gradients go through y and hidden.
std::vector<ValueId> BuildRecurrentNode(const NodeBuild& node, const RecurrentNode& config, bool lstm) {
  node.RequireInputs(1, 1);
  node.RequireRank(0, 3, 3, "[batch, time, channels] is");
  node.RequireFloats(0);
  const int64_t hidden = node.InRange("hidden", config.hidden(), 1, kMaxWidth);
  const int layers = config.layers() == 0 ? 1 : static_cast<int>(config.layers());
  RequireProbability("model.graph: node \"" + node.name() + "\": dropout", config.dropout());
  const int directions = config.bidirectional() ? 2 : 1;
  ValueId x = node.input(0);
  const int64_t batch = node.shape(x).dim(0);
  std::vector<ValueId> hiddens, cells;
  for (int layer = 0; layer < layers; ++layer) {
    if (layer > 0) x = node.builder().Dropout(x, static_cast<float>(config.dropout()));
    std::vector<ValueId> outputs;
    for (int direction = 0; direction < directions; ++direction) {
      const graph::RecurrentLayer one{.hidden = hidden, .reverse = direction == 1, .layer = layer};
      graph::RecurrentStates last;
      const ValueId y = lstm ? node.builder().Lstm(x, node.parameters(), one, &last)
                             : node.builder().Gru(x, node.parameters(), one, &last);
      outputs.push_back(y);
      hiddens.push_back(LastPlace(node, y, one.reverse, fmt::format("/last{}", hiddens.size())));
      if (lstm) cells.push_back(node.Reshape(last.cell, {batch, 1, hidden}, fmt::format("/cell{}", cells.size())));
    }
    x = ConcatAll(node, outputs, fmt::format("/both{}", layer));
  }
  const auto stack = [&](const std::vector<ValueId>& states, const std::string& suffix) {
    const auto count = static_cast<int64_t>(states.size());
    std::vector<ValueId> rows;
    for (size_t i = 0; i < states.size(); ++i)
      rows.push_back(node.Reshape(states[i], {batch, hidden}, fmt::format("{}{}/row", suffix, i)));
    return node.Reshape(ConcatAll(node, rows, suffix + "/rows"), {batch, count, hidden}, suffix);
  };
  std::vector<ValueId> results{x, stack(hiddens, "/hidden")};
  if (lstm) results.push_back(stack(cells, "/cell"));
  return results;
}

std::vector<ValueId> BuildAttention(const NodeBuild& node, const AttentionNode& config) {
  node.RequireInputs(1, 2);
  node.RequireRank(0, 3, 3, "[batch, time, channels] is");
  const auto heads = static_cast<int>(node.InRange("heads", config.heads(), 1, kMaxWidth));
  const int kv_heads = config.kv_heads() == 0 ? heads : static_cast<int>(config.kv_heads());
  if (heads % kv_heads != 0) node.Fail(fmt::format("{} heads are no multiple of kv_heads {}", heads, kv_heads));
  const graph::AttentionAttributes attributes{.heads = heads, .kv_heads = kv_heads, .causal = config.causal()};
  const ValueId memory = node.inputs() > 1 ? node.input(1) : kNoValue;
  return {node.Emit(OpKind::kAttention, {node.input(0), memory, kNoValue}, attributes)[0]};
}

}  // namespace

std::vector<ValueId> BuildSequenceNode(const NodeBuild& node) {
  const Node& config = node.node();
  switch (config.op_case()) {
    case Node::kEmbedding:
      return BuildEmbedding(node, config.embedding());
    case Node::kLstm:
      return BuildRecurrentNode(node, config.lstm(), true);
    case Node::kGru:
      return BuildRecurrentNode(node, config.gru(), false);
    case Node::kAttention:
      return BuildAttention(node, config.attention());
    default:
      return {};
  }
}

}  // namespace lockstep::models
