// What is wrong with a protobuf text, and where.
#pragma once

#include <google/protobuf/io/tokenizer.h>

#include <string>

namespace lockstep::launch {

/// Keeps the first complaint of the text parser.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text.empty()) {
      text = message;
      at_line = line + 1;
      at_column = column + 1;
    }
  }
  void AddWarning(int, int, const std::string&) override {}

  std::string text;
  int at_line = 0, at_column = 0;
};

}  // namespace lockstep::launch
