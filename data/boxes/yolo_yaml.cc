#include "data/boxes/yolo_yaml.h"

#include <yaml.h>

#include <charconv>
#include <new>
#include <optional>
#include <string_view>

namespace lockstep::data {
namespace {

constexpr char kNames[] = "names: [cat, dog], or a list, or numbers from 0 with names";

/// A document of libyaml: nodes, numbered from 1, which name each other.
class Document {
 public:
  Document(std::span<const std::byte> text, const Origin& origin) : origin_(origin), left_(2 * text.size()) {
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) throw std::bad_alloc();
    yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    const int loaded = yaml_parser_load(&parser, &document_);
    const std::string problem = parser.problem == nullptr ? "" : parser.problem;
    const size_t line = parser.problem_mark.line + 1;
    yaml_parser_delete(&parser);
    if (loaded == 0) throw origin.Bad("it is no YAML: " + problem, "", fmt::format("{}", line));
  }
  ~Document() { yaml_document_delete(&document_); }
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  const yaml_node_t* Root() { return yaml_document_get_root_node(&document_); }
  const yaml_node_t& Node(int number) { return *yaml_document_get_node(&document_, number); }

  /// A text to keep. All of them together are hardly longer than the file, unless it says one again and again by
  /// aliases.
  std::string Keep(const yaml_node_t& node, std::string_view text) {
    if (text.size() > left_) throw Bad(node, "aliases make its texts longer than the file", "write them out");
    left_ -= text.size();
    return std::string(text);
  }

  Error Bad(const yaml_node_t& node, std::string message, std::string hint = "") const {
    return origin_.Bad(std::move(message), std::move(hint), fmt::format("{}", node.start_mark.line + 1));
  }

 private:
  const Origin& origin_;
  size_t left_;
  yaml_document_t document_;
};

std::optional<std::string_view> Scalar(const yaml_node_t& node) {
  if (node.type != YAML_SCALAR_NODE) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(node.data.scalar.value), node.data.scalar.length);
}

bool IsNull(const yaml_node_t& node) {
  const auto text = Scalar(node);
  return text && node.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
         (text->empty() || *text == "~" || *text == "null");
}

std::optional<int64_t> WholeNumber(const yaml_node_t& node) {
  const std::string_view text = Scalar(node).value_or("");
  int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// A text, a list of texts, or nothing.
std::vector<std::string> Texts(Document& document, const yaml_node_t& node, std::string_view key) {
  if (IsNull(node)) return {};
  if (const auto text = Scalar(node)) return {document.Keep(node, *text)};
  if (node.type != YAML_SEQUENCE_NODE) throw document.Bad(node, fmt::format("\"{}\" is no text and no list", key));
  std::vector<std::string> texts;
  for (const int* item = node.data.sequence.items.start; item < node.data.sequence.items.top; ++item) {
    const auto text = Scalar(document.Node(*item));
    if (!text) throw document.Bad(document.Node(*item), fmt::format("\"{}\" holds something that is no text", key));
    texts.push_back(document.Keep(node, *text));
  }
  return texts;
}

/// "names" as an object: {0: cat, 1: dog}, in any order.
std::vector<std::string> NumberedNames(Document& document, const yaml_node_t& node) {
  const size_t count = node.data.mapping.pairs.top - node.data.mapping.pairs.start;
  std::vector<std::optional<std::string>> found(count);
  for (const yaml_node_pair_t* pair = node.data.mapping.pairs.start; pair < node.data.mapping.pairs.top; ++pair) {
    const yaml_node_t& key = document.Node(pair->key);
    const std::optional<int64_t> number = WholeNumber(key);
    const auto name = Scalar(document.Node(pair->value));
    if (!number || *number < 0 || static_cast<size_t>(*number) >= count || found[*number])
      throw document.Bad(key, fmt::format("the keys of \"names\" are not the numbers from 0 to {}", count - 1), kNames);
    if (!name) throw document.Bad(key, fmt::format("the name of category {} is no text", *number), kNames);
    found[*number] = document.Keep(key, *name);
  }
  std::vector<std::string> names;
  for (std::optional<std::string>& name : found) names.push_back(std::move(*name));
  return names;
}

}  // namespace

YoloYaml ReadYoloYaml(std::span<const std::byte> yaml, const Origin& origin) {
  Document document(yaml, origin);
  const yaml_node_t* root = document.Root();
  if (root == nullptr || root->type != YAML_MAPPING_NODE) throw origin.Bad("it has no \"names\"", kNames);
  YoloYaml result;
  const yaml_node_t* count = nullptr;
  for (const yaml_node_pair_t* pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top; ++pair) {
    const std::string_view key = Scalar(document.Node(pair->key)).value_or("");
    const yaml_node_t& value = document.Node(pair->value);
    if (key == "path") {
      const auto text = Scalar(value);
      if (!text) throw document.Bad(value, "\"path\" is no text");
      if (!IsNull(value)) result.path = document.Keep(value, *text);
    }
    if (key == "train") result.train = Texts(document, value, key);
    if (key == "val") result.val = Texts(document, value, key);
    if (key == "test") result.test = Texts(document, value, key);
    if (key == "names")
      result.names = value.type == YAML_MAPPING_NODE ? NumberedNames(document, value) : Texts(document, value, key);
    if (key == "nc") count = &value;
  }
  if (result.names.empty()) throw origin.Bad("it has no \"names\"", kNames);
  if (count != nullptr && WholeNumber(*count) != static_cast<int64_t>(result.names.size()))
    throw document.Bad(*count, fmt::format("\"nc\" is {}, but there are {} names", Scalar(*count).value_or("no number"),
                                           result.names.size()));
  return result;
}

}  // namespace lockstep::data
