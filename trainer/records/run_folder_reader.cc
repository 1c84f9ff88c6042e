#include "trainer/records/run_folder_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/files/file.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::records {
namespace {

constexpr uint64_t kTail = 64 << 10, kAll = std::numeric_limits<uint64_t>::max();

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

std::string RunFolderReader::ReadEnd(const std::string& name, uint64_t most) const {
  try {
    const std::unique_ptr<ReadableFile> file = FileSystem::Real().Open(folder_ + "/" + name);
    std::string bytes(std::min(file->size(), most), '\0');
    file->ReadAt(file->size() - bytes.size(), std::as_writable_bytes(std::span(bytes)));
    return bytes;
  } catch (const Error&) {
    return "";
  }
}

std::string RunFolderReader::Text(const std::string& name) const { return ReadEnd(name, kAll); }

Json RunFolderReader::Object(const std::string& name) const { return ParseJsonObject(ReadEnd(name, kAll)); }

std::vector<Json> RunFolderReader::Rows(const std::string& name) const { return ParseJsonRows(ReadEnd(name, kAll)); }

std::vector<Json> RunFolderReader::LastRows(const std::string& name) const {
  return ParseJsonRows(ReadEnd(name, kTail));
}

std::optional<AttemptEnding> RunFolderReader::ReadEnding() const { return ParseEnding(ReadEnd("verdict.json", kAll)); }

uint32_t RunFolderReader::LastAttempt() const { return LastAttemptNumber(ReadEnd("attempts.jsonl", kAll)); }

std::vector<CommittedCheckpoint> RunFolderReader::Checkpoints() const {
  std::vector<CommittedCheckpoint> all;
  try {
    const std::string checkpoints = folder_ + "/checkpoints";
    for (const uint64_t step : checkpoint::ListSteps(FileSystem::Real(), checkpoints)) {
      CommittedCheckpoint committed{step, 0};
      struct stat status {};
      const std::string manifest = checkpoints + "/" + checkpoint::FolderName(step) + "/" + checkpoint::kManifestName;
      if (stat(manifest.c_str(), &status) == 0)
        committed.written =
            static_cast<double>(status.st_mtim.tv_sec) + 1e-9 * static_cast<double>(status.st_mtim.tv_nsec);
      all.push_back(committed);
    }
  } catch (const Error&) {
    return {};
  }
  return all;
}

std::optional<CommittedCheckpoint> RunFolderReader::FindNewestCheckpoint() const {
  const std::vector<CommittedCheckpoint> all = Checkpoints();
  if (all.empty()) return std::nullopt;
  return all.back();
}

uint64_t RunFolderReader::Progress() const {
  uint64_t step = 0;
  if (const auto newest = FindNewestCheckpoint()) step = newest->step;
  for (const Json& row : LastRows("metrics.jsonl")) step = std::max(step, FieldOr<uint64_t>(row, "step", 0));
  return step;
}

std::string RunFolderReader::FirstAttempt() const {
  const std::string text = ReadEnd("attempts.jsonl", kAll);
  return text.substr(0, text.find('\n'));
}

}  // namespace lockstep::records
