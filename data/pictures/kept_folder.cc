#include "data/pictures/kept_folder.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "data/pictures/stored_lists.h"

namespace lockstep::data {
namespace {

void Store(const DirectoryState& state, StoredDirectory& stored) {
  stored.set_path(state.path);
  stored.set_device(state.device);
  stored.set_inode(state.inode);
  stored.set_changed_ns(state.changed_ns);
  stored.set_status_ns(state.status_ns);
}

bool Unchanged(const std::string& folder, const StoredDirectory& stored) {
  const DirectoryState before{stored.path(), stored.device(), stored.inode(), stored.changed_ns(), stored.status_ns()};
  return StateOf(folder, stored.path()) == before;
}

std::optional<WalkedFolder> FindKept(const std::string& file, const std::string& folder) {
  StoredFolder stored;
  if (!ReadStored(file, stored) || stored.folder() != folder || stored.directories().empty()) return std::nullopt;
  for (const StoredDirectory& directory : stored.directories())
    if (!Unchanged(folder, directory)) return std::nullopt;
  std::optional<PictureList> list = RestoreList(stored.list());
  if (!list || list->names.size() == 0) return std::nullopt;
  WalkedFolder walked;
  walked.list = std::move(*list);
  walked.passed_over.insert(stored.passed_over().begin(), stored.passed_over().end());
  return walked;
}

int64_t NowNs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

/// Whether the directories were at rest long before `time_ns`, and are as they were when they were read.
bool Quiet(const std::string& folder, const std::vector<DirectoryState>& directories, int64_t time_ns) {
  constexpr int64_t kQuietNs = 10'000'000'000;
  return std::all_of(directories.begin(), directories.end(), [&](const DirectoryState& state) {
    return std::max(state.changed_ns, state.status_ns) < time_ns - kQuietNs && StateOf(folder, state.path) == state;
  });
}

void Keep(const std::string& file, const std::string& folder, const WalkedFolder& walked) {
  StoredFolder stored;
  stored.set_folder(folder);
  StoreList(walked.list, *stored.mutable_list());
  stored.mutable_passed_over()->insert(walked.passed_over.begin(), walked.passed_over.end());
  for (const DirectoryState& state : walked.directories) Store(state, *stored.add_directories());
  try {
    WriteStored(file, stored);
  } catch (const Error& error) {
    LogInfo("the list of pictures can't be kept: {}", error.what());
  }
}

}  // namespace

WalkedFolder ListFolder(const std::string& folder, const std::string& field, const BrokenFunction& on_broken,
                        const KeepOptions& options) {
  const std::string file = CacheFileOf(folder, "list");
  if (!file.empty()) {
    if (std::optional<WalkedFolder> kept = FindKept(file, folder)) return std::move(*kept);
  }
  const int64_t begin_ns = NowNs();
  WalkedFolder walked = WalkFolder(folder, field, on_broken);
  if (!file.empty() && !walked.broken && walked.list.names.size() >= options.least_pictures &&
      Quiet(folder, walked.directories, begin_ns))
    Keep(file, folder, walked);
  return walked;
}

}  // namespace lockstep::data
