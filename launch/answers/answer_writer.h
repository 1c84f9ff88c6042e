// Answers of a model as people take them away: CSV, JSON lines, or text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::launch {

enum class AnswerFormat { kText, kCsv, kJsonLines };

/// What the answers are of.
struct AnswerColumns {
  std::string id = "row";            ///< heading of what names a sample
  std::vector<std::string> classes;  ///< names; empty for values
  std::vector<std::string> targets;  ///< names of the values; empty for classes
};

/// Turns answers into lines. CSV has a heading; of classes each has a column of probabilities. JSON has one object a
/// line. Text has the name, a tab and the class with its probability, or the values.
class AnswerWriter {
 public:
  AnswerWriter(AnswerFormat format, AnswerColumns columns);

  /// The heading, with its line's end; empty where the format has none.
  std::string Heading() const;
  /// One line, with its end. `answer` has a probability for each class, or a value for each target.
  std::string Line(std::string_view id, std::span<const float> answer) const;

 private:
  std::string CsvLine(std::string_view id, std::span<const float> answer) const;
  std::string JsonLine(std::string_view id, std::span<const float> answer) const;
  std::string TextLine(std::string_view id, std::span<const float> answer) const;
  bool classes() const { return !columns_.classes.empty(); }

  const AnswerFormat format_;
  const AnswerColumns columns_;
};

/// A cell of CSV: in quotes where it needs them (RFC 4180).
std::string CsvCell(std::string_view text);

}  // namespace lockstep::launch
