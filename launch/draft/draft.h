// Recipes for data that somebody has: what `lockstep new` writes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::launch {

struct DraftOptions {
  std::string path = {};                  ///< the file or folder that is looked at
  std::string folder = {};                ///< where the recipe will lie: paths in it are relative to this
  std::string name = {};                  ///< of the run
  std::string label = {};                 ///< the column of the class; empty: found
  std::vector<std::string> targets = {};  ///< columns of values; empty: none, or found
  std::string task = {};                  ///< "classification", "regression" or empty: told by the data
};

/// What a recipe does with a line, and why: "label: \"target\"" and "2 classes: ...".
struct DraftLine {
  std::string text;
  std::string why = {};
};

struct Draft {
  std::string recipe;              ///< its text
  std::string answer;              ///< the command that asks the trained run, with {run} for it
  std::vector<std::string> notes;  ///< what a person should know of it
};

/// "/a/b/data.csv" as it is written in a recipe in /a/r: "../b/data.csv", in quotes.
std::string PathIn(const std::string& folder, const std::string& path);
/// Text in the quotes of protobuf's text format.
std::string Quoted(const std::string& text);
/// Lines one below the other, `indent` blanks in, with the reasons as comments in a column.
std::string Lay(const std::vector<DraftLine>& lines, int indent);
/// What recipes begin with, for editors.
std::string DraftHead(const std::string& what);

}  // namespace lockstep::launch
