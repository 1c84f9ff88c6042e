#include "launch/draft/draft.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/strutil.h>

#include <algorithm>
#include <filesystem>

namespace lockstep::launch {

std::string PathIn(const std::string& folder, const std::string& path) {
  std::error_code error;
  const std::filesystem::path base = std::filesystem::weakly_canonical(folder.empty() ? "." : folder, error);
  const std::filesystem::path whole = std::filesystem::weakly_canonical(path, error);
  const std::filesystem::path relative = whole.lexically_relative(base);
  // A way up that passes the root says less than the whole path.
  const std::string text =
      relative.empty() || relative.string().starts_with("../../..") ? whole.string() : relative.string();
  return Quoted(text);
}

std::string Quoted(const std::string& text) { return fmt::format("\"{}\"", google::protobuf::CEscape(text)); }

std::string Lay(const std::vector<DraftLine>& lines, int indent) {
  constexpr size_t kMostWidth = 56;
  size_t width = 0;
  for (const DraftLine& line : lines)
    if (!line.why.empty() && line.text.size() <= kMostWidth) width = std::max(width, line.text.size());
  std::string text;
  for (const DraftLine& line : lines) {
    text += std::string(static_cast<size_t>(indent), ' ');
    text += line.why.empty() ? line.text : fmt::format("{:<{}}  # {}", line.text, width, line.why);
    text += "\n";
  }
  return text;
}

std::string DraftHead(const std::string& what) {
  return fmt::format("# proto-file: launch/recipe/recipe.proto\n# proto-message: lockstep.Recipe\n\n# {}\n", what);
}

}  // namespace lockstep::launch
