#include "trainer/checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/log.h"
#include "trainer/checkpoint/damage.h"
#include "trainer/checkpoint/durable_write.h"
#include "trainer/checkpoint/shard_format.h"

namespace lockstep::checkpoint {
namespace {

constexpr std::string_view kFolderPrefix = "step-";
constexpr std::string_view kSetAsideSuffix = "-set-aside";
constexpr char kCheckpointsFolder[] = "checkpoints";

bool IsCommitted(FileSystem& files, const std::string& folder) { return files.Exists(folder + "/" + kManifestName); }

/// The manifest goes first: a kill in between leaves an unfinished checkpoint, not a damaged one.
void RemoveCheckpoint(FileSystem& files, const std::string& folder) {
  files.RemoveAll(folder + "/" + kManifestName);
  files.SyncFolder(folder);
  files.RemoveAll(folder);
}

/// Files that were being written into a checkpoint which is whole without them.
void RemoveTemporaryFiles(FileSystem& files, const std::string& folder) {
  for (const std::string& name : files.List(folder))
    if (name.ends_with(kTemporarySuffix) && (IsTemporaryOf(name, kManifestName) || AttemptOfShard(name)))
      files.RemoveAll(folder + "/" + name);
}

/// What is no checkpoint any more and older than the newest: unfinished folders, and those that were set aside; and
/// what is unfinished in the others.
void RemoveDebris(FileSystem& files, const std::string& checkpoints, uint64_t newest) {
  for (const std::string& name : files.List(checkpoints)) {
    const std::string folder = checkpoints + "/" + name;
    const bool set_aside = name.ends_with(kSetAsideSuffix);
    const std::optional<uint64_t> step =
        ParseFolderName(set_aside ? name.substr(0, name.size() - kSetAsideSuffix.size()) : name);
    if (!step || *step >= newest) continue;
    if (set_aside || !IsCommitted(files, folder)) {
      files.RemoveAll(folder);
    } else {
      RemoveTemporaryFiles(files, folder);
    }
  }
}

}  // namespace

std::string FolderName(uint64_t step) { return fmt::format("{}{:08}", kFolderPrefix, step); }

std::optional<uint64_t> ParseFolderName(const std::string& name) {
  if (!name.starts_with(kFolderPrefix)) return std::nullopt;
  uint64_t step = 0;
  const auto [end, error] = std::from_chars(name.data() + kFolderPrefix.size(), name.data() + name.size(), step);
  if (error != std::errc() || name != FolderName(step)) return std::nullopt;
  return step;
}

std::vector<uint64_t> ListSteps(FileSystem& files, const std::string& checkpoints) {
  return AsCheckpointError([&] {
    std::vector<uint64_t> steps;
    for (const std::string& name : files.List(checkpoints)) {
      const std::optional<uint64_t> step = ParseFolderName(name);
      if (step && IsCommitted(files, checkpoints + "/" + name)) steps.push_back(*step);
    }
    std::sort(steps.begin(), steps.end());
    return steps;
  });
}

void RemoveOld(FileSystem& files, const std::string& checkpoints, int keep, std::span<const uint64_t> pinned) {
  const std::vector<uint64_t> steps = ListSteps(files, checkpoints);
  if (steps.empty()) return;
  const size_t kept = std::min(static_cast<size_t>(std::max(keep, 2)), steps.size());
  AsCheckpointError([&] {
    for (const uint64_t step : std::span(steps).first(steps.size() - kept)) {
      if (std::find(pinned.begin(), pinned.end(), step) != pinned.end()) continue;
      RemoveCheckpoint(files, checkpoints + "/" + FolderName(step));
    }
    RemoveDebris(files, checkpoints, steps.back());
  });
}

void SetAsideNewer(FileSystem& files, const std::string& checkpoints, uint64_t step) {
  AsCheckpointError([&] {
    bool renamed = false;
    for (const std::string& name : files.List(checkpoints)) {
      const std::optional<uint64_t> other = ParseFolderName(name);
      if (!other || *other <= step) continue;
      const std::string folder = checkpoints + "/" + name;
      const std::string aside = folder + std::string(kSetAsideSuffix);
      files.RemoveAll(aside);
      files.Rename(folder, aside);
      renamed = true;
    }
    if (renamed) files.SyncFolder(checkpoints);
  });
}

std::unique_ptr<Reader> FindNewest(FileSystem& files, const std::string& checkpoints, uint64_t at_most_step,
                                   std::vector<std::string>* passed_over) {
  std::vector<uint64_t> steps = ListSteps(files, checkpoints);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (*step > at_most_step) continue;
    try {
      std::unique_ptr<Reader> reader = Reader::Open(files, checkpoints + "/" + FolderName(*step));
      reader->Verify();
      return reader;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kCheckpoint) throw;
      if (passed_over) passed_over->push_back(DamageText(error));
    }
  }
  return nullptr;
}

std::string CheckpointsOf(FileSystem& files, const std::string& path) {
  const std::string inside = path + "/" + kCheckpointsFolder;
  return AsCheckpointError([&]() -> std::string {
    if (files.Exists(inside)) return inside;
    std::error_code ignored;
    if (&files == &FileSystem::Real() && std::filesystem::is_regular_file(path, ignored))
      throw Error(ErrorKind::kUsage, "is a file, where the folder of a run or of a checkpoint is due", path,
                  "recipes are for lockstep train and lockstep plan");
    return ListSteps(files, path).empty() ? "" : path;
  });
}

std::unique_ptr<Reader> OpenPath(FileSystem& files, const std::string& path) {
  const std::string checkpoints = IsCommitted(files, path) ? "" : CheckpointsOf(files, path);
  if (checkpoints.empty()) return Reader::Open(files, path);
  std::vector<std::string> passed_over;
  std::unique_ptr<Reader> reader = FindNewest(files, checkpoints, std::numeric_limits<uint64_t>::max(), &passed_over);
  for (const std::string& line : passed_over) LogWarning("passed over a damaged checkpoint: {}", line);
  if (!reader) {
    throw Error(ErrorKind::kCheckpoint,
                passed_over.empty() ? "the run has no checkpoint yet" : "none of the run's checkpoints is whole", path,
                passed_over.empty()
                    ? "train it first"
                    : "copy a whole one back (lockstep verify names all damage), or train it anew with --fresh");
  }
  return reader;
}

}  // namespace lockstep::checkpoint
