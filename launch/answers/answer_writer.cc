#include "launch/answers/answer_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"

namespace lockstep::launch {
namespace {

size_t Best(std::span<const float> answer) {
  return static_cast<size_t>(std::max_element(answer.begin(), answer.end()) - answer.begin());
}

}  // namespace

std::string CsvCell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

AnswerWriter::AnswerWriter(AnswerFormat format, AnswerColumns columns) : format_(format), columns_(std::move(columns)) {
  CHECK(columns_.classes.empty() != columns_.targets.empty());
}

std::string AnswerWriter::Heading() const {
  if (format_ != AnswerFormat::kCsv) return "";
  std::string line = CsvCell(columns_.id);
  if (classes()) line += ",prediction,probability";
  for (const std::string& name : columns_.classes) line += "," + CsvCell("p(" + name + ")");
  for (const std::string& name : columns_.targets) line += "," + CsvCell(name);
  return line + "\n";
}

std::string AnswerWriter::Line(std::string_view id, std::span<const float> answer) const {
  switch (format_) {
    case AnswerFormat::kCsv:
      return CsvLine(id, answer);
    case AnswerFormat::kJsonLines:
      return JsonLine(id, answer);
    case AnswerFormat::kText:
      break;
  }
  return TextLine(id, answer);
}

std::string AnswerWriter::CsvLine(std::string_view id, std::span<const float> answer) const {
  std::string line = CsvCell(id);
  if (classes()) line += fmt::format(",{},{}", CsvCell(columns_.classes[Best(answer)]), answer[Best(answer)]);
  for (const float value : answer) line += fmt::format(",{}", value);
  return line + "\n";
}

std::string AnswerWriter::JsonLine(std::string_view id, std::span<const float> answer) const {
  nlohmann::ordered_json object = {{columns_.id, id}};
  if (classes()) {
    object["prediction"] = columns_.classes[Best(answer)];
    object["probability"] = answer[Best(answer)];
    for (size_t i = 0; i < answer.size(); ++i) object["probabilities"][columns_.classes[i]] = answer[i];
  } else {
    for (size_t i = 0; i < answer.size(); ++i) object[columns_.targets[i]] = answer[i];
  }
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string AnswerWriter::TextLine(std::string_view id, std::span<const float> answer) const {
  std::string line(id);
  if (classes()) return fmt::format("{}\t{}\t{:.4f}\n", line, columns_.classes[Best(answer)], answer[Best(answer)]);
  for (const float value : answer) line += fmt::format("\t{}", value);
  return line + "\n";
}

}  // namespace lockstep::launch
