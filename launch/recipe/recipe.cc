#include "launch/recipe/recipe.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "launch/recipe/first_error.h"
#include "launch/recipe/no_recipe.h"
#include "launch/recipe/recipe_paths.h"
#include "launch/recipe/settings.h"
#include "launch/recipe/text_error.h"

namespace lockstep::launch {

namespace pb = google::protobuf;

Recipe ParseRecipe(const std::string& text, const std::string& name, const std::string& folder,
                   const std::vector<std::string>& settings) {
  Recipe recipe;
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &recipe)) {
    const TextComplaint complaint = Explain(error, text, *Recipe::descriptor(), {"recipe", "", ReadWhatIsKnown(text)});
    throw Error(ErrorKind::kUsage, complaint.message, fmt::format("{}:{}:{}", name, error.at_line, error.at_column),
                complaint.hint);
  }
  for (const std::string& setting : settings) ApplySetting(recipe, setting);
  ResolvePaths(recipe, folder);
  if (recipe.name().empty()) recipe.set_name(std::filesystem::path(name).stem().string());
  return recipe;
}

Recipe ReadRecipe(const std::string& path, const std::vector<std::string>& settings) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!file || std::filesystem::is_directory(path) || !(text << file.rdbuf())) throw NoRecipe(path, errno);
  if (text.str().find('\0') != std::string::npos) throw NoRecipe(path, 0);
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return ParseRecipe(text.str(), path, folder.empty() ? "." : folder.string(), settings);
}

std::string ToText(const Recipe& recipe) {
  std::string text;
  pb::TextFormat::PrintToString(recipe, &text);
  return text;
}

}  // namespace lockstep::launch
