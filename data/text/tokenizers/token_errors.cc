#include "data/text/tokenizers/token_errors.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/files/file.h"
#include "base/log.h"
#include "data/source_file.h"
#include "data/utf8.h"

namespace lockstep::data {

Error LacksCharacter(std::string_view text, size_t at) {
  return Error(ErrorKind::kData,
               fmt::format("the vocabulary lacks {}, at byte {} of the text", NameCharacter(text, at), at), "",
               "take it out of the text, or use a vocabulary that has it");
}

Error NoSuchId(int32_t id, int32_t size) {
  return Error(ErrorKind::kData, fmt::format("there is no token {}: the vocabulary has {}", id, size), "",
               "ids and vocabulary belong to different models");
}

Error DamagedFile(const std::string& path, std::string message, const std::string& place) {
  return Error(ErrorKind::kData, std::move(message), place.empty() ? path : fmt::format("{}:{}", path, place),
               "copy or download it again");
}

Error UnsupportedFile(const std::string& path, std::string message) {
  return Error(ErrorKind::kUsage, std::move(message), path,
               "use another vocabulary, or turn the text into tokens elsewhere");
}

void RequireUtf8(std::string_view text, const std::string& path, uint64_t line) {
  const size_t valid = ValidPrefix(text);
  if (valid == text.size()) return;
  const auto lines = std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(valid), '\n');
  throw Error(ErrorKind::kData, fmt::format("there is {}", NameCharacter(text, valid)),
              fmt::format("{}:{}", path, line + static_cast<uint64_t>(lines)),
              "the text must be UTF-8: convert it with iconv");
}

void WarnOfUnknown(const std::string& what, uint64_t unknown, uint64_t count) {
  constexpr uint64_t kOften = 20;
  if (unknown * kOften <= count) return;
  LogWarning(
      "{}: {} of {} tokens stand for what the vocabulary lacks (is it a vocabulary for this language and script? "
      "lockstep tokenizer train makes one)",
      what, unknown, count);
}

uint64_t CountUnknown(std::span<const int32_t> ids, const Tokenizer& tokenizer) {
  if (tokenizer.unknown() < 0) return 0;
  return static_cast<uint64_t>(std::count(ids.begin(), ids.end(), tokenizer.unknown()));
}

std::string LoadTextFile(const std::string& path) {
  if (!FileSystem::Real().Exists(path)) {
    throw Error(ErrorKind::kData, "there is no such file", path, "get the file, or name another");
  }
  const std::vector<std::byte> bytes = LoadSourceFile({path, "the recipe"});
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace lockstep::data
