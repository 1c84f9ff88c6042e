#include "launch/recipe/no_recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "launch/recipe/suggestions.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

constexpr char kExample[] = "a recipe is a text file, for example examples/digits.textproto";

bool Has(const fs::path& folder, const char* name) {
  std::error_code ignored;
  return fs::exists(folder / name, ignored);
}

/// The folder's files and folders, sorted; a few thousand say enough.
std::vector<fs::path> EntriesOf(const std::string& folder) {
  constexpr size_t kMost = 4096;
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end && entries.size() < kMost;
       entry.increment(error))
    entries.push_back(entry->path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

std::string FirstEndingWith(const std::vector<fs::path>& entries, const std::string& ending) {
  for (const fs::path& entry : entries)
    if (entry.filename().string().ends_with(ending)) return entry.string();
  return "";
}

/// "in it lie a.csv, b.csv and 7 more", or that it is empty.
std::string ContentsOf(const std::vector<fs::path>& entries) {
  constexpr size_t kNamed = 3;
  if (entries.empty()) return "an empty folder";
  std::string text = "a folder";
  for (size_t i = 0; i < std::min(kNamed, entries.size()); ++i)
    text += (i == 0 ? " with " : ", ") + entries[i].filename().string();
  return entries.size() > kNamed ? fmt::format("{} and {} more", text, entries.size() - kNamed) : text;
}

Error Told(const std::string& path, const std::string& what, const std::string& hint) {
  return Error(ErrorKind::kUsage, fmt::format("the recipe can't be read: it is {}", what), path, hint);
}

Error OfFolder(const std::string& path) {
  const fs::path folder(path);
  if (Has(folder, "recipe.textproto") && (Has(folder, "checkpoints") || Has(folder, "attempts.jsonl")))
    return Told(
        path, "the folder of a run",
        fmt::format("to go on with that run: lockstep train {0}/recipe.textproto --out {0}; lockstep status {0} "
                    "says how it stands",
                    path));
  if (Has(folder, checkpoint::kManifestName))
    return Told(path, "a checkpoint", fmt::format("a run begins with its weights by --set train.init_from={}", path));
  const std::vector<fs::path> entries = EntriesOf(path);
  if (Has(folder, "config.json") && !FirstEndingWith(entries, ".safetensors").empty())
    return Told(path, "a model of Hugging Face's",
                fmt::format("a recipe begins with its weights by train {{ init_from: \"{}\" }}", path));
  if (const std::string recipe = FirstEndingWith(entries, ".textproto"); !recipe.empty())
    return Told(path, ContentsOf(entries), fmt::format("for example {}", recipe));
  return Told(path, ContentsOf(entries),
              "data are named in a recipe, e.g. data { train { csv { file: \"FILE\" } } }: see lockstep help recipe "
              "data.train");
}

}  // namespace

Error NoRecipe(const std::string& path, int error_number) {
  std::error_code error;
  if (fs::is_directory(path, error)) return OfFolder(path);
  if (error_number == 0 && fs::is_regular_file(path, error) && fs::file_size(path, error) == 0)
    return Told(path, "empty", kExample);
  if (error_number == 0) return Told(path, "no text", kExample);
  std::string hint = kExample;
  if (error_number == ENOENT) {
    std::vector<std::string> beside;
    const fs::path folder = fs::path(path).parent_path();
    for (const fs::path& entry : EntriesOf(folder.empty() ? "." : folder.string()))
      if (entry.extension() == ".textproto") beside.push_back(entry.filename().string());
    const std::string near = Nearest(fs::path(path).filename().string(), beside);
    if (!near.empty()) hint = DidYouMean((folder / near).string());
  }
  return Error(ErrorKind::kUsage, fmt::format("the recipe can't be read: {}", std::strerror(error_number)), path, hint);
}

}  // namespace lockstep::launch
