#include "trainer/graph/dot.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <type_traits>

#include "trainer/graph/op_table.h"

namespace lockstep::graph {
namespace {

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string Describe(const Attributes& attributes) {
  return std::visit(
      [](const auto& a) -> std::string {
        using A = std::decay_t<decltype(a)>;
        std::string text;
        if constexpr (std::is_same_v<A, Conv2dAttributes>) {
          text = fmt::format("stride {} padding {} groups {}", ToString(a.stride), ToString(a.padding), a.groups);
          if (a.dilation != Pair(1)) text += fmt::format(" dilation {}", ToString(a.dilation));
        } else if constexpr (std::is_same_v<A, Pool2dAttributes>) {
          text = fmt::format("window {} stride {} padding {}", ToString(a.kernel), ToString(a.stride),
                             ToString(a.padding));
        } else if constexpr (std::is_same_v<A, WindowsAttributes>) {
          text = fmt::format("window {} stride {} padding {}", a.kernel, a.stride, a.padding);
        } else if constexpr (std::is_same_v<A, RecurrentAttributes>) {
          text = a.reverse ? "reverse" : "";
        } else if constexpr (std::is_same_v<A, DropoutAttributes>) {
          text = fmt::format("probability {} key {}", a.probability, a.layer_key);
        } else if constexpr (std::is_same_v<A, CtcAttributes>) {
          text = fmt::format("loss {}", a.loss);
        } else if constexpr (std::is_same_v<A, FocalAttributes>) {
          text = fmt::format("loss {} positive {} negative {} clamp {}", a.loss, a.positive, a.negative, a.clamp);
        } else if constexpr (std::is_same_v<A, BoxLossAttributes>) {
          text = fmt::format("loss {} factor {} {}", a.loss, a.factor, a.exponential ? "exp" : "relu");
        } else if constexpr (std::is_same_v<A, ResizeAttributes>) {
          text = fmt::format("{} by {}{}", a.height, a.width, a.align_corners ? ", corners aligned" : "");
        } else if constexpr (std::is_same_v<A, GroupNormAttributes>) {
          text = fmt::format("{} groups", a.groups);
        } else if constexpr (std::is_same_v<A, LossAttributes>) {
          text = fmt::format("loss {} smoothing {}", a.loss, a.label_smoothing);
        } else if constexpr (std::is_same_v<A, PixelsAttributes>) {
          text = fmt::format("scale {}", a.scale);
        } else if constexpr (requires { Name(a.function); }) {
          text = Name(a.function);
        } else if constexpr (std::is_same_v<A, CastAttributes>) {
          text = fmt::format("to {}", Name(a.to));
        } else if constexpr (std::is_same_v<A, FusedAttributes>) {
          text = fmt::format("{} steps", a.steps.size());
        } else if constexpr (std::is_same_v<A, PadChannelsAttributes>) {
          text = fmt::format("stride {} channels {}", a.stride, a.channels);
        } else if constexpr (std::is_same_v<A, AttentionAttributes>) {
          text = fmt::format("{} heads, {} of keys{}", a.heads, a.kv_heads, a.causal ? ", causal" : "");
        } else if constexpr (std::is_same_v<A, RotaryAttributes>) {
          text = fmt::format("{} heads, base {}{}", a.heads, a.base, a.inverse ? ", back" : "");
        }
        if constexpr (requires { a.activation; }) {
          if (a.activation != Activation::kNone)
            text = fmt::format("{}{}{}", text, text.empty() ? "" : " ", Name(a.activation));
        }
        return text;
      },
      attributes);
}

bool IsSource(const Value& value) { return value.role != Role::kActivation; }

std::string SourceNode(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  return fmt::format("  v{} [shape=ellipse, label=\"{}\\n{} {}\"];\n", id, Escaped(value.name), Name(value.dtype),
                     value.shape.ToString());
}

}  // namespace

std::string ToDot(const Graph& graph) {
  std::string text = "digraph graph_ {\n  rankdir=TB;\n  node [shape=box, fontname=\"monospace\"];\n";
  std::vector<int> producer(graph.values.size(), -1);
  std::vector<bool> read(graph.values.size(), false);
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    for (ValueId id : graph.ops[i].outputs) {
      if (id != kNoValue) producer[static_cast<size_t>(id)] = static_cast<int>(i);
    }
    for (ValueId id : graph.ops[i].inputs) {
      if (id != kNoValue) read[static_cast<size_t>(id)] = true;
    }
  }
  for (size_t id = 0; id < graph.values.size(); ++id) {
    if (IsSource(graph.values[id]) && read[id]) text += SourceNode(graph, static_cast<ValueId>(id));
  }
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    const Op& op = graph.ops[i];
    const std::string attributes = Describe(op.attributes);
    text += fmt::format("  op{} [label=\"{}: {}\\n{}\"];\n", i, i, Name(op.kind),
                        Escaped(op.name) + (attributes.empty() ? "" : fmt::format("\\n{}", attributes)));
    for (ValueId id : op.inputs) {
      if (id == kNoValue) continue;
      const Value& value = graph.value(id);
      const int from = producer[static_cast<size_t>(id)];
      text += from < 0 ? fmt::format("  v{} -> op{};\n", id, i)
                       : fmt::format("  op{} -> op{} [label=\"{} {}\"];\n", from, i, Escaped(value.name),
                                     value.shape.ToString());
    }
  }
  const auto add_result = [&](const std::string& kind, const std::string& name, ValueId id) {
    if (id == kNoValue || producer[static_cast<size_t>(id)] < 0) return;
    const std::string node = fmt::format("{}_{}", kind, id);
    text += fmt::format("  \"{}\" [shape=ellipse, label=\"{}: {}\\n{}\"];\n  op{} -> \"{}\";\n", node, kind,
                        Escaped(name), graph.value(id).shape.ToString(), producer[static_cast<size_t>(id)], node);
  };
  for (const Loss& loss : graph.losses) add_result("loss", loss.name, loss.sum);
  for (const Counter& counter : graph.counters) add_result("counter", counter.name, counter.count);
  for (const auto& [name, id] : graph.outputs) add_result("output", name, id);
  for (const auto& [parameter, gradient] : graph.gradients)
    add_result("gradient", graph.value(parameter).name, gradient);
  for (const StatisticUpdate& update : graph.statistic_updates) {
    add_result("statistic", graph.value(update.statistic).name, update.lane_value);
  }
  return text + "}\n";
}

}  // namespace lockstep::graph
