#include "data/text/load_text.h"

#include "data/source_file.h"
#include "data/text/tokenizers/token_errors.h"

namespace lockstep::data {

std::string LoadText(const std::string& path, const std::string& field, bool any_bytes) {
  if (path.empty()) throw Error(ErrorKind::kUsage, "the file is not named", field, "set it in the recipe");
  const Origin origin{path, field};
  const std::vector<std::byte> bytes = LoadSourceFile(origin);
  if (bytes.empty()) throw origin.Bad("the file is empty", "name a file that has text");
  std::string text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  if (!any_bytes) RequireUtf8(text, path);
  return text;
}

}  // namespace lockstep::data
