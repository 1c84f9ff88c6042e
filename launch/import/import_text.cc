#include "launch/import/import_text.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <filesystem>
#include <regex>

#include "launch/draft/draft.h"

namespace lockstep::launch {
namespace {

/// One message on one line as people write it: lists of several in brackets, without blanks that say nothing.
std::string OneLine(const google::protobuf::Message& message) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.SetUseShortRepeatedPrimitives(true);
  std::string text;
  printer.PrintToString(message, &text);
  while (!text.empty() && text.back() == ' ') text.pop_back();
  text = std::regex_replace(text, std::regex(R"(\[([^\[\],"]*)\])"), "$1");
  return std::regex_replace(text, std::regex(R"(\{ \})"), "{}");
}

/// `input: "a" input: "b"` as `input: ["a", "b"]`: lists of words have no short form of protobuf's.
std::string NodeText(models::Node node) {
  std::string inputs;
  for (const std::string& input : node.input()) inputs += (inputs.empty() ? "" : ", ") + Quoted(input);
  if (node.input_size() > 1) inputs = "[" + inputs + "]";
  node.clear_input();
  const std::string name = Quoted(node.name());
  node.clear_name();
  return fmt::format("node {{ name: {}{} {} }}", name, inputs.empty() ? "" : " input: " + inputs, OneLine(node));
}

/// What the data call a model's first input: pictures, rows of numbers and tokens have names of their own.
std::string FieldOf(const models::GraphInput& input) {
  const bool picture = input.shape_size() == 3 && (input.shape(0) == 1 || input.shape(0) == 3) && !input.integers();
  if (picture) return "image";
  if (input.shape_size() == 1) return input.integers() ? "tokens" : "features";
  return input.name();
}

/// Inputs and outputs under the names that data and evaluations know, and nodes without what goes without saying.
models::GraphModel Readable(models::GraphModel graph) {
  if (graph.input_size() > 0)
    if (const std::string field = FieldOf(graph.input(0)); field != graph.input(0).name())
      graph.mutable_input(0)->set_field(field);
  // The last node is the output unless another is named; the first output is what is trained and evaluated.
  if (graph.output_size() == 1 && graph.output(0).node() == graph.node(graph.node_size() - 1).name())
    graph.clear_output();
  else
    graph.mutable_output(0)->set_name("logits");
  for (models::GraphOutput& output : *graph.mutable_output())
    if (output.name() == output.node()) output.clear_node();
  std::string before;
  for (models::Node& node : *graph.mutable_node()) {
    if (node.input_size() == 1 && node.input(0) == before) node.clear_input();
    before = node.name();
  }
  return graph;
}

constexpr char kDataHint[] =
    "# What it is trained on: `lockstep new DATA` writes such a section for yours.\n"
    "#\n"
    "# data { train { ... } test { ... } }\n";

}  // namespace

std::string ImportedRecipe(const ImportedFile& file, const onnx::ImportResult& result, const std::string& data) {
  std::string text =
      DraftHead(fmt::format("Imported from {} ({}, opset {}).", std::filesystem::path(file.path).filename().string(),
                            file.producer, file.opset));
  text += fmt::format("name: {}\n\nmodel {{\n  graph {{\n    channels_first: true\n", Quoted(file.name));
  const models::GraphModel graph = Readable(result.graph);
  for (const models::GraphInput& input : graph.input()) text += fmt::format("    input {{ {} }}\n", OneLine(input));
  for (const models::Node& node : graph.node()) text += fmt::format("    {}\n", NodeText(node));
  for (const models::GraphOutput& output : graph.output())
    text += fmt::format("    output {{ {} }}\n", OneLine(output));
  text += "  }\n}\n\n";
  text += data.empty() ? kDataHint : data;
  text +=
      "\n# The weights of the file; a small learning rate keeps what they have learned.\n"
      "train { init_from: \"weights.safetensors\" epochs: 3 global_batch: 32 }\n\n"
      "optimizer { adamw {} learning_rate: 1e-4 schedule { cosine {} warmup_fraction: 0.1 } }\n";
  return text;
}

std::string ImportReport(const ImportedFile& file, const onnx::ImportResult& result) {
  const onnx::ImportCounts& counts = result.counts;
  std::string text = fmt::format("{}: {}, opset {}\n", file.path, file.producer, file.opset);
  text += fmt::format("  written by  {}\n", onnx::NameOf(result.exporter));
  text += fmt::format("  nodes       {} in the file, {} after folding, {} in the recipe\n", counts.nodes,
                      counts.nodes_left, result.graph.node_size());
  text += fmt::format("  parameters  {} in {} tensors; {} buffers\n", counts.parameter_elements, counts.parameters,
                      counts.buffers);
  if (counts.batch_norms + counts.dropouts > 0)
    text += fmt::format("  training    {} batch norms and {} dropouts have their meaning in training\n",
                        counts.batch_norms, counts.dropouts);
  for (const std::string& warning : result.warnings) text += fmt::format("warning: {}\n", warning);
  return text;
}

}  // namespace lockstep::launch
