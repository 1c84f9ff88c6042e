// Graphs of one's own, whose ops the families have not.
#include <fmt/format.h>

#include "tests/trainer/models/model_world.h"
#include "tests/trainer/onnx/export/export_cases.h"

namespace lockstep::onnx {
namespace {

/// All functions of one number, where each is defined, side by side.
std::string Functions() {
  // Of numbers from 1 to 2, and of those from 0 to 1.
  const char* above_one[] = {"EXP",  "LOG",      "SQRT",  "RECIPROCAL", "ABS",          "NEGATIVE",
                             "SIGN", "FLOOR",    "CEIL",  "ROUND",      "SIN",          "COS",
                             "SINH", "COSH",     "ERF",   "CLIP",       "ELU",          "SOFTPLUS",
                             "SELU", "SOFTSIGN", "CELU",  "MISH",       "ATAN",         "LEAKY_RELU",
                             "TAN",  "ACOSH",    "ASINH", "HARD_SWISH", "HARD_SIGMOID", "THRESHOLDED_RELU"};
  const char* below_one[] = {"ASIN", "ACOS", "ATANH", "IS_NAN", "IS_INF", "NOT", "EXP"};
  std::string nodes =
      "node { name: 'half' input: 'features' multiply { value: 0.45 } } "
      "node { name: 'low' add { value: 0.5 } } node { name: 'high' add { value: 1 } } ";
  std::string inputs;
  const auto add = [&](const char* input, const char* kind) {
    nodes += fmt::format("node {{ name: '{}.{}' input: '{}' function {{ kind: {} }} }} ", input, kind, input, kind);
    inputs += fmt::format("input: '{}.{}' ", input, kind);
  };
  for (const char* kind : above_one) add("high", kind);
  for (const char* kind : above_one)
    if (std::string(kind) != "LOG" && std::string(kind) != "SQRT" && std::string(kind) != "ACOSH")
      add("features", kind);
  for (const char* kind : below_one) add("low", kind);
  return nodes + "node { name: 'clip' input: 'features' function { kind: CLIP alpha: -0.3 } } " + "node { " + inputs +
         "input: 'clip' concat {} } node { linear {} }";
}

/// Arithmetic of [batch, 6] with [batch, 1], of numbers, and of parameters.
constexpr char kArithmetic[] = R"(
  node { name: "column" input: "features" slice { axis: 1 begin: 2 end: 3 } }
  node { name: "row" parameter { shape: [6] value: 1 uniform: 0.5 } }
  node { name: "positive" input: "features" function { kind: ABS } }
  node { name: "sum" input: ["features", "column"] add {} }
  node { name: "difference" input: "features" subtract { value: 2 first: true } }
  node { name: "product" input: ["row", "features"] multiply {} }
  node { name: "ratio" input: ["features", "row"] divide {} }
  node { name: "power" input: ["positive", "row"] power {} }
  node { name: "least" input: ["features", "column"] minimum {} }
  node { name: "most" input: ["features", "column"] maximum {} }
  node { name: "remainder" input: "features" remainder { value: 0.3 } }
  node { name: "modulo" input: "features" modulo { value: 0.3 } }
  node { name: "prelu" input: ["features", "row"] prelu {} }
  node { name: "prelu_of_column" input: ["column", "row"] prelu {} }
  node { name: "less" input: ["features", "column"] less {} }
  node { name: "at_most" input: ["features", "column"] less_or_equal {} }
  node { name: "greater" input: "features" greater { value: 0 } }
  node { name: "at_least" input: ["features", "row"] greater_or_equal {} }
  node { name: "equal" input: ["features", "column"] equal {} }
  node { name: "both" input: ["less", "greater"] logical_and {} }
  node { name: "either" input: ["equal", "greater"] logical_or {} }
  node { name: "one" input: ["less", "at_least"] logical_xor { } }
  node { name: "chosen" input: ["both", "features", "row"] where {} }
  node { name: "masked" input: ["either", "features"] where { b: -2 } }
  node { name: "whole" input: "ratio" cast { integers: true } }
  node { name: "floats" cast {} }
  node { input: ["sum", "difference", "product", "ratio", "power", "least", "most", "remainder", "modulo", "prelu",
                 "prelu_of_column", "less", "at_most", "one", "chosen", "masked", "floats"] concat {} }
  node { linear {} })";

/// Squeeze and excitation, dilation, strides by axis, what comes back up, and what moves pixels; channels last.
constexpr char kImage[] = R"(
  node { name: "conv" conv { channels: 6 kernel: [3, 5] stride: [2, 1] padding: [2, 2] dilation: [2, 1] } }
  node { name: "mean" input: "conv" reduce { kind: MEAN axes: [1, 2] keep: true } }
  node { name: "gate" conv { channels: 6 kernel: 1 } }
  node { name: "open" activation: SIGMOID }
  node { name: "gated" input: ["conv", "open"] multiply {} }
  node { name: "scale" parameter { shape: [6] value: 1 uniform: 0.5 } }
  node { name: "scaled" input: ["gated", "scale"] multiply {} }
  node { name: "padded" input: "scaled" pad { before: [0, 1, 0, 0] after: [0, 0, 2, 0] value: 0.5 } }
  node { name: "mirrored" pad { before: [0, 1, 1, 0] after: [0, 1, 1, 0] kind: REFLECT } }
  node { name: "norm" group_norm { groups: 2 affine: false } }
  node { name: "up" conv_transpose { channels: 4 kernel: 3 stride: 2 output_padding: 1 padding: 1 } }
  node { name: "smaller" resize { kind: LINEAR height: 7 width: 9 } }
  node { name: "corners" resize { kind: LINEAR height: 5 width: 11 align_corners: true } }
  node { name: "near" resize { height: 7 width: 9 } }
  node { name: "all" input: ["smaller", "near"] concat {} }
  node { name: "cut" slice { axis: 3 begin: 1 end: 7 } }
  node { name: "turned" slice { axis: 2 begin: -1 step: -1 } }
  node { name: "shares" softmax {} }
  node { name: "rows" reduce { kind: MAX axes: [2] } }
  node { name: "flat" reshape { shape: [0, -1] } }
  node { linear {} })";

/// The same kind of net as PyTorch writes it: channels first, flattened by a reshape.
constexpr char kChannelsFirst[] = R"(
  node { name: "conv" conv { channels: 6 stride: 2 bias: false } }
  node { name: "norm" batch_norm {} }
  node { name: "act" function { kind: HARD_SWISH } }
  node { name: "depthwise" conv { channels: 6 groups: 6 } }
  node { name: "sum" input: ["act", "depthwise"] add {} }
  node { name: "mean" reduce { kind: MEAN axes: [2, 3] keep: true } }
  node { name: "gate" conv { channels: 6 kernel: 1 } }
  node { name: "open" function { kind: HARD_SIGMOID } }
  node { name: "gated" input: ["sum", "open"] multiply {} }
  node { name: "all" input: ["gated", "sum"] concat {} }
  node { name: "pool" max_pool {} }
  node { name: "shuffled" reshape { shape: [0, 2, 6, 3, 3] } }
  node { name: "moved" transpose { order: [0, 2, 1, 3, 4] } }
  node { name: "back" reshape { shape: [0, 12, 3, 3] } }
  node { name: "larger" resize { scale: 2 } }
  node { name: "blocks" space_to_depth { block: 2 } }
  node { name: "flat" flatten {} }
  node { linear {} })";

/// Attention in primitives, as PyTorch writes it, over tokens; other lengths would need other reshapes.
constexpr char kTransformer[] = R"(
  node { name: "embed" embedding { width: 8 } }
  node { name: "position" parameter { shape: [6, 8] uniform: 1 } }
  node { name: "x" input: ["embed", "position"] add {} }
  node { name: "norm" layer_norm {} }
  node { name: "qkv" linear { features: 24 } }
  node { name: "heads" reshape { shape: [0, 6, 3, 2, 4] } }
  node { name: "parts" transpose { order: [2, 0, 3, 1, 4] } }
  node { name: "q_part" input: "parts" slice { axis: 0 end: 1 } }
  node { name: "q" reshape { shape: [-1, 2, 6, 4] } }
  node { name: "k_part" input: "parts" slice { axis: 0 begin: 1 end: 2 } }
  node { name: "k" reshape { shape: [-1, 2, 6, 4] } }
  node { name: "v_part" input: "parts" slice { axis: 0 begin: 2 } }
  node { name: "v" reshape { shape: [-1, 2, 6, 4] } }
  node { name: "scores" input: ["q", "k"] matmul { transpose_b: true scale: 0.5 } }
  node { name: "mask" buffer { shape: [6, 6] values: [1,0,0,0,0,0, 1,1,0,0,0,0, 1,1,1,0,0,0, 1,1,1,1,0,0, 1,1,1,1,1,0, 1,1,1,1,1,1] } }
  node { name: "hidden" input: ["mask", "scores"] where { b: -1e9 } }
  node { name: "share" softmax {} }
  node { name: "seen" input: ["share", "v"] matmul {} }
  node { name: "side" transpose { order: [0, 2, 1, 3] } }
  node { name: "joined" reshape { shape: [0, 0, 8] } }
  node { name: "out" linear { features: 8 } }
  node { name: "y" input: ["x", "out"] add {} }
  node { name: "rms" rms_norm {} }
  node { name: "each" expand { shape: [-1, 6, 8] } }
  node { linear {} })";

constexpr char kRecurrent[] = R"(
  node { name: "steps" reshape { shape: [-1, 4, 3] } }
  node { name: "conv" conv { channels: 5 } }
  node { name: "lstm" lstm { hidden: 4 layers: 2 bidirectional: true } }
  node { name: "gru" gru { hidden: 4 } }
  node { name: "hidden" input: "lstm:1" flatten {} }
  node { name: "cell" input: "lstm:2" flatten {} }
  node { name: "last" input: "gru:1" flatten {} }
  node { input: ["hidden", "cell", "last"] concat {} }
  node { linear {} })";

std::string Graph(const std::string& nodes) { return "graph { " + nodes + " }"; }

}  // namespace

std::vector<ExportCase> GraphCases() {
  using models::Features, models::Images;
  const models::DataShape tokens{.input = "tokens", .sample = {6}, .classes = 11};
  models::DataShape several = Images(4, 4, 3, 7);
  several.fields = {{.name = "meta", .shape = {2}}, {.name = "kind", .shape = {}, .dtype = DType::kI32}};
  return {
      {.name = "graph_functions", .model = Graph(Functions()), .data = Features(6, 3)},
      {.name = "graph_arithmetic", .model = Graph(kArithmetic), .data = Features(6, 3), .jumps = true},
      {.name = "graph_image", .model = Graph(kImage), .data = Images(12, 10, 3)},
      {.name = "graph_channels_first",
       .model = Graph("channels_first: true " + std::string(kChannelsFirst)),
       .data = Images(12, 12, 3),
       .channels_first = true},
      {.name = "graph_transformer", .model = Graph(kTransformer), .data = tokens, .rows = 3},
      {.name = "graph_recurrent", .model = Graph(kRecurrent), .data = Features(12, 3)},
      {.name = "graph_inputs",
       .model = Graph("node { name: 'pixels' input: 'image' flatten {} } "
                      "node { name: 'words' input: 'kind' embedding { entries: 7 width: 5 } } "
                      "node { name: 'all' input: ['pixels', 'meta', 'words'] concat {} } node { name: 'fc' linear {} } "
                      "output { name: 'logits' node: 'fc' } output { name: 'embedding' node: 'words' }"),
       .data = several},
  };
}

}  // namespace lockstep::onnx
