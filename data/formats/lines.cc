#include "data/formats/lines.h"

#include <algorithm>

#include "data/utf8.h"

namespace lockstep::data {

std::string_view StripBlanks(std::string_view text) {
  size_t begin = text.size(), end = 0;  // of what is no blank
  for (size_t at = 0; at < text.size();) {
    const Character character = CharacterAt(text, at);
    if (!IsWhiteSpace(character.code_point)) {
      begin = std::min(begin, at);
      end = at + character.bytes;
    }
    at += character.bytes;
  }
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

std::vector<std::string> ReadLines(std::span<const std::byte> bytes, const Origin& origin) {
  std::string_view rest = WithoutByteOrderMark(bytes);
  if (rest.empty()) throw origin.Bad("the file is empty", "name a file of one sentence a line");
  std::vector<std::string> lines;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    const size_t valid = ValidPrefix(line);
    if (valid < line.size()) {
      throw origin.Bad(fmt::format("there is {}", NameCharacter(line, valid)),
                       "the text must be UTF-8: convert it with iconv", fmt::format("{}", lines.size() + 1));
    }
    lines.emplace_back(StripBlanks(line));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

}  // namespace lockstep::data
