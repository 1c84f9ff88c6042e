#include "data/pictures/walk_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/error.h"

namespace lockstep::data {
namespace {

std::string Join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : name.empty() ? folder : folder + "/" + name;
}

struct Entries {
  std::vector<std::string> folders, files;
};

/// What a directory holds, in any order. Follows symbolic links.
Entries ListDirectory(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
  if (!directory) throw FileError(errno, "the folder can't be read", path).As(ErrorKind::kData);
  Entries entries;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(directory.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    bool folder = entry->d_type == DT_DIR;
    if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) {
      struct stat status {};
      folder = fstatat(dirfd(directory.get()), entry->d_name, &status, 0) == 0 && S_ISDIR(status.st_mode);
    }
    (folder ? entries.folders : entries.files).push_back(name);
  }
  if (errno != 0) throw FileError(errno, "the folder can't be read", path).As(ErrorKind::kData);
  return entries;
}

class Walk {
 public:
  Walk(const std::string& folder, const std::string& field, const BrokenFunction& on_broken)
      : folder_(folder), field_(field), on_broken_(on_broken) {}

  WalkedFolder Run() {
    Entries top = Look("");
    std::erase_if(top.folders, [](const std::string& name) { return name.starts_with('.'); });
    if (top.folders.empty()) {
      throw Error(ErrorKind::kData, "there is no subfolder in it, and so no class", folder_,
                  fmt::format("{} wants a subfolder of pictures for each class", field_));
    }
    for (const std::string& file : top.files)
      PassOver(IsPictureName(file) ? "pictures outside of class folders" : file, IsPictureName(file));
    std::sort(top.folders.begin(), top.folders.end());
    for (const std::string& name : top.folders) AddClass(name);
    if (walked_.list.names.size() == 0) {
      throw Error(ErrorKind::kData, "there is no picture in its subfolders", folder_,
                  "pictures are files named *.jpg, *.jpeg or *.png");
    }
    return std::move(walked_);
  }

 private:
  Entries Look(const std::string& path) {
    walked_.directories.push_back(StateOf(folder_, path));
    return ListDirectory(Join(folder_, path));
  }

  /// Counts a file that is no picture by its kind.
  void PassOver(const std::string& file, bool as_is = false) {
    const std::string extension = ExtensionOf(file);
    ++walked_.passed_over[as_is                   ? file
                          : file.starts_with('.') ? "hidden"
                          : extension.empty()     ? "without an extension"
                                                  : "*" + extension];
  }

  void AddClass(const std::string& name) {
    std::vector<std::string> pictures;
    Gather(name, 0, pictures);
    if (pictures.empty()) {
      walked_.broken = true;
      return Report(on_broken_, Error(ErrorKind::kData, "there is no picture in this class's folder",
                                      Join(folder_, name), "put pictures (*.jpg, *.jpeg, *.png) there, or remove it"));
    }
    std::sort(pictures.begin(), pictures.end());
    const auto place = static_cast<int32_t>(walked_.list.class_names.size());
    walked_.list.class_names.push_back(name);
    for (const std::string& picture : pictures) {
      walked_.list.names.Add(picture);
      walked_.list.classes.push_back(place);
    }
  }

  void Gather(const std::string& path, int depth, std::vector<std::string>& pictures) {
    constexpr int kDeepest = 64;
    if (depth > kDeepest) {
      throw Error(ErrorKind::kData, fmt::format("folders are nested more than {} deep", kDeepest), Join(folder_, path),
                  "is it a link to a folder around it?");
    }
    const Entries entries = Look(path);
    for (const std::string& file : entries.files) {
      if (file.starts_with('.')) {
        PassOver(file);
      } else if (IsPictureName(file)) {
        pictures.push_back(Join(path, file));
      } else if (IsOtherPictureName(file)) {
        walked_.broken = true;
        Report(on_broken_,
               Error(ErrorKind::kData, "this is a picture of a kind that is not read", Join(folder_, Join(path, file)),
                     "convert it to JPEG or PNG (ImageMagick: magick FILE FILE.png), or remove it"));
      } else {
        PassOver(file);
      }
    }
    for (const std::string& folder : entries.folders)
      if (!folder.starts_with('.')) Gather(Join(path, folder), depth + 1, pictures);
  }

  const std::string& folder_;
  const std::string& field_;
  const BrokenFunction& on_broken_;
  WalkedFolder walked_;
};

}  // namespace

DirectoryState StateOf(const std::string& folder, const std::string& path) {
  DirectoryState state{.path = path};
  struct stat status {};
  if (stat(Join(folder, path).c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return state;
  const auto nanoseconds = [](const timespec& time) {
    constexpr int64_t kSecond = 1'000'000'000;
    return int64_t{time.tv_sec} * kSecond + time.tv_nsec;
  };
  state.device = status.st_dev;
  state.inode = status.st_ino;
  state.changed_ns = nanoseconds(status.st_mtim);
  state.status_ns = nanoseconds(status.st_ctim);
  return state;
}

WalkedFolder WalkFolder(const std::string& folder, const std::string& field, const BrokenFunction& on_broken) {
  struct stat status {};
  if (stat(folder.c_str(), &status) != 0) {
    throw Error(ErrorKind::kData, fmt::format("there is no folder {}", folder), field,
                fmt::format("get the data, or name another folder with --set {}=FOLDER", field));
  }
  if (!S_ISDIR(status.st_mode)) {
    throw Error(ErrorKind::kData, "this is a file, and no folder", folder,
                "a list of pictures is named by folder { list: }, an archive by packed { files: }");
  }
  return Walk(folder, field, on_broken).Run();
}

}  // namespace lockstep::data
