#include "trainer/records/run_folder_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::records {
namespace {

using nlohmann::json;

constexpr std::streamoff kTail = 64 << 10;

json Parse(const std::string& text) {
  const json value = json::parse(text, nullptr, false);
  return value.is_object() ? value : json();
}

std::string ReadFrom(const std::string& path, std::streamoff most) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const std::streamoff size = file.tellg();
  file.seekg(most > 0 ? std::max<std::streamoff>(0, size - most) : 0);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A row that is torn at either end is none.
std::vector<json> ParseRows(const std::string& text) {
  std::vector<json> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (json row = Parse(line); row.is_object()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace

std::string RunFolderOf(const std::string& path) {
  std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  for (int level = 0; level < 3; ++level, folder = folder.parent_path())
    if (std::filesystem::exists(folder / "recipe.textproto")) return folder.string();
  throw Error(ErrorKind::kUsage, "there is no recipe.textproto in it or above it", path,
              "give a run's folder, or a checkpoint inside one");
}

void RequireReplaceable(const std::string& path) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw Error(ErrorKind::kUsage, "is a folder or a device, no file", path, "name another output");
}

double NumberIn(const json& row, const char* name, double otherwise) {
  if (!row.is_object()) return otherwise;
  const auto found = row.find(name);
  return found != row.end() && found->is_number() ? found->get<double>() : otherwise;
}

std::string TextIn(const json& row, const char* name) {
  if (!row.is_object()) return "";
  const auto found = row.find(name);
  return found != row.end() && found->is_string() ? found->get<std::string>() : "";
}

json RunFolderReader::Object(const std::string& name) const { return Parse(ReadFrom(folder_ + "/" + name, 0)); }

std::vector<json> RunFolderReader::Rows(const std::string& name) const {
  return ParseRows(ReadFrom(folder_ + "/" + name, 0));
}

std::vector<json> RunFolderReader::LastRows(const std::string& name) const {
  return ParseRows(ReadFrom(folder_ + "/" + name, kTail));
}

std::optional<AttemptEnding> RunFolderReader::ReadEnding() const {
  const std::string text = ReadFrom(folder_ + "/verdict.json", 0);
  const json object = Parse(text);
  if (!object.is_object() || !object.contains("exit_code")) return std::nullopt;
  return AttemptEnding{static_cast<int64_t>(NumberIn(object, "attempt")),
                       static_cast<int>(NumberIn(object, "exit_code")),
                       TextIn(object, "message"),
                       TextIn(object, "where"),
                       static_cast<int64_t>(NumberIn(object, "step")),
                       text};
}

std::optional<NewestCheckpoint> RunFolderReader::FindNewestCheckpoint() const {
  try {
    const std::string checkpoints = folder_ + "/checkpoints";
    const std::vector<uint64_t> steps = checkpoint::ListSteps(FileSystem::Real(), checkpoints);
    if (steps.empty()) return std::nullopt;
    NewestCheckpoint newest{steps.back(), 0};
    struct stat status {};
    const std::string manifest =
        checkpoints + "/" + checkpoint::FolderName(newest.step) + "/" + checkpoint::kManifestName;
    if (stat(manifest.c_str(), &status) == 0)
      newest.written = static_cast<double>(status.st_mtim.tv_sec) + 1e-9 * static_cast<double>(status.st_mtim.tv_nsec);
    return newest;
  } catch (const Error&) {
    return std::nullopt;
  }
}

uint64_t RunFolderReader::Progress() const {
  uint64_t step = 0;
  if (const auto newest = FindNewestCheckpoint()) step = newest->step;
  for (const json& row : LastRows("metrics.jsonl"))
    step = std::max(step, static_cast<uint64_t>(std::max(0.0, NumberIn(row, "step"))));
  return step;
}

std::string RunFolderReader::FirstAttempt() const {
  std::ifstream file(folder_ + "/attempts.jsonl");
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace lockstep::records
