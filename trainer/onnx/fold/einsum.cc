#include "trainer/onnx/fold/einsum.h"

#include <fmt/format.h>

#include <algorithm>

#include "trainer/onnx/fold/step.h"

namespace lockstep::onnx {
namespace {

/// The letters of one term; "..." stands for as many dimensions as are left, of which -1 is the last.
std::vector<int> LettersOf(const std::string& term, int rank) {
  std::vector<int> letters;
  const int written = static_cast<int>(std::count_if(term.begin(), term.end(), [](char c) { return c != '.'; }));
  for (size_t i = 0; i < term.size(); ++i) {
    if (term[i] != '.') {
      letters.push_back(term[i]);
      continue;
    }
    if (term.compare(i, 3, "...") != 0) throw Unsupported(fmt::format("the term \"{}\"", term));
    for (int d = written - rank; d < 0; ++d) letters.push_back(d);
    i += 2;
  }
  return letters;
}

std::vector<std::string> Split(const std::string& text, char by) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == by)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

}  // namespace

EinsumTerms ParseEinsum(const std::string& equation, const std::vector<Dims>& shapes) {
  std::string text = equation;
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  const std::vector<std::string> terms = Split(text.substr(0, arrow), ',');
  if (terms.size() != shapes.size()) throw Unsupported(fmt::format("the equation \"{}\"", equation));
  EinsumTerms parsed;
  std::map<int, int> times;
  int most = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    const std::vector<int> letters = LettersOf(terms[i], static_cast<int>(shapes[i].size()));
    if (letters.size() != shapes[i].size()) throw Unsupported(fmt::format("the equation \"{}\"", equation));
    for (size_t d = 0; d < letters.size(); ++d) {
      int64_t& size = parsed.sizes.emplace(letters[d], 1).first->second;
      if (size != 1 && shapes[i][d] != 1 && size != shapes[i][d])
        throw Unsupported(fmt::format("the equation \"{}\" for other sizes", equation));
      size = std::max(size, shapes[i][d]);
      ++times[letters[d]];
      most = std::min(most, letters[d]);
    }
    parsed.inputs.push_back(letters);
  }
  if (arrow != std::string::npos) {
    const std::string output = text.substr(arrow + 2);
    const int written = static_cast<int>(std::count_if(output.begin(), output.end(), [](char c) { return c != '.'; }));
    parsed.output = LettersOf(output, written - most);
    if (output.find('.') == std::string::npos && most < 0) throw Unsupported("an ellipsis that is summed over");
  } else {  // dimensions of "...", then letters that come once
    for (const auto& [letter, count] : times)
      if (letter < 0 || count == 1) parsed.output.push_back(letter);
  }
  for (const int letter : parsed.output)
    if (!parsed.sizes.contains(letter)) throw Unsupported(fmt::format("the equation \"{}\"", equation));
  return parsed;
}

}  // namespace lockstep::onnx
