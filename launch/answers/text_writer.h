// Transcripts and translations as people take them away: CSV, JSON lines, or text.
#pragma once

#include <cstdint>
#include <string>

#include "launch/answers/answer_writer.h"

namespace lockstep::launch {

/// What a text was made of.
struct TextSource {
  std::string file;   ///< of sentences: that the line lies in, "standard input", or "--text"
  uint64_t line = 0;  ///< from 1; 0: the input is a file
  std::string input;  ///< the file of a recording; a sentence
};

/// Turns texts into lines. CSV has a heading: input, text and score (a log probability), of sentences with the file and
/// the line that they come from in front. JSON has an object of the same a line. Text has the text alone.
class TextWriter {
 public:
  /// `sentences`: inputs are these, else files. `names_input`: lines of text begin with the input and a tab.
  TextWriter(AnswerFormat format, bool sentences, bool names_input)
      : format_(format), sentences_(sentences), names_input_(names_input) {}

  /// The heading, with its line's end; empty where the format has none.
  std::string Heading() const;
  /// One line, with its end.
  std::string Line(const TextSource& source, const std::string& text, double score) const;

 private:
  const AnswerFormat format_;
  const bool sentences_, names_input_;
};

}  // namespace lockstep::launch
