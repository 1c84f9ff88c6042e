#include "launch/answers/text_writer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lockstep::launch {

std::string TextWriter::Heading() const {
  if (format_ != AnswerFormat::kCsv) return "";
  return sentences_ ? "file,line,input,text,score\n" : "input,text,score\n";
}

std::string TextWriter::Line(const TextSource& source, const std::string& text, double score) const {
  if (format_ == AnswerFormat::kText) return (names_input_ ? source.input + "\t" : "") + text + "\n";
  if (format_ == AnswerFormat::kCsv) {
    const std::string place = sentences_ ? fmt::format("{},{},", CsvCell(source.file), source.line) : "";
    return place + fmt::format("{},{},{}\n", CsvCell(source.input), CsvCell(text), score);
  }
  nlohmann::ordered_json object;
  if (sentences_) object = {{"file", source.file}, {"line", source.line}};
  object["input"] = source.input;
  object["text"] = text;
  object["score"] = score;
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace lockstep::launch
