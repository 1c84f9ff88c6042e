#include "data/text/token_errors.h"

#include <fmt/format.h>

#include "base/file.h"
#include "data/source_file.h"
#include "data/text/utf8.h"

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

std::string LoadTextFile(const std::string& path) {
  if (!FileSystem::Real().Exists(path)) {
    throw Error(ErrorKind::kData, "there is no such file", path, "get the file, or name another");
  }
  const std::vector<std::byte> bytes = LoadSourceFile({path, "the recipe"});
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace lockstep::data
