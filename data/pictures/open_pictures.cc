#include "data/pictures/open_pictures.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "data/pictures/kept_folder.h"
#include "data/pictures/picture_dataset.h"
#include "data/pictures/read_picture_list.h"
#include "data/pictures/stores.h"
#include "data/source_file.h"

namespace lockstep::data {
namespace {

void NotePassedOver(const WalkedFolder& walked, const std::string& field) {
  if (walked.passed_over.empty()) return;
  std::string text;
  uint64_t sum = 0;
  for (const auto& [kind, count] : walked.passed_over) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, kind);
    sum += count;
  }
  LogNote("{}: {} file{} passed over: {}", field, sum, sum == 1 ? " is" : "s are", text);
}

/// A class can't be left without a name, nor be more than there are.
void RequireClassCount(const PictureOptions& options, const PictureList& list) {
  const auto count = static_cast<int>(list.class_names.size());
  if (options.classes == 0 || options.classes == count) return;
  throw Error(ErrorKind::kUsage, fmt::format("it is {}, but pictures are of {} classes", options.classes, count),
              "data.classes", "remove it: names of classes say how many there are");
}

std::unique_ptr<Dataset> Finish(LabelledPictures pictures, PictureList list, const FingerprintOptions& fingerprint) {
  pictures.labels = std::move(list.classes);
  pictures.class_names = std::move(list.class_names);
  return MakePictureDataset(std::move(pictures), fingerprint);
}

/// Splits the path that a recipe names from what lies in it.
std::string WithoutSlashes(std::string folder) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  return folder;
}

}  // namespace

std::unique_ptr<Dataset> OpenImageFolder(const ImageFolder& config, const std::string& field,
                                         const FingerprintOptions& fingerprint, const PictureOptions& options) {
  if (config.path().empty() == config.list().empty()) {
    throw Error(ErrorKind::kUsage, config.path().empty() ? "no folder is named" : "a folder and a list are named",
                field, "set one of path and list");
  }
  std::string folder;
  PictureList list;
  if (config.list().empty()) {
    folder = WithoutSlashes(config.path());
    WalkedFolder walked = ListFolder(folder, field + ".path", options.on_broken);
    NotePassedOver(walked, field + ".path");
    list = std::move(walked.list);
  } else {
    const Origin origin{config.list(), field + ".list"};
    folder = std::filesystem::path(config.list()).parent_path().string();
    list = ReadPictureList(LoadSourceFile(origin), origin, options.on_broken);
  }
  AgreeOnClasses(options.class_names, field, options.on_broken, list);
  RequireClassCount(options, list);
  LabelledPictures pictures;
  pictures.format = "folder 1";
  pictures.store = MakeFileStore(std::move(folder), std::move(list.names));
  return Finish(std::move(pictures), std::move(list), fingerprint);
}

namespace {

/// Whether the names of classes are numbers, as WebDataset has them: then they are the labels.
bool AreNumbers(const std::vector<std::string>& names) {
  constexpr size_t kMostDigits = 5;
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return name.size() <= kMostDigits && name.find_first_not_of("0123456789") == std::string::npos &&
           (name.size() == 1 || name[0] != '0');
  });
}

/// The names "0" to the greatest of all numbers that are classes, in this order.
void CountClassesUp(PictureList& list) {
  std::vector<int32_t> numbers;
  for (const std::string& name : list.class_names) numbers.push_back(std::stoi(name));
  for (int32_t& place : list.classes) place = numbers[static_cast<size_t>(place)];
  list.class_names.clear();
  for (int32_t i = 0; i <= *std::max_element(numbers.begin(), numbers.end()); ++i)
    list.class_names.push_back(fmt::format("{}", i));
}

/// The lists of all archives as one.
PictureList JoinLists(const std::vector<OpenArchive>& archives) {
  PictureList joined;
  std::vector<std::string> classes;
  for (const OpenArchive& archive : archives) {
    const PictureList& list = archive.index.list;
    for (uint64_t i = 0; i < list.names.size(); ++i) {
      joined.names.Add(list.names[i]);
      classes.push_back(list.class_names[static_cast<size_t>(list.classes[i])]);
    }
  }
  NumberClasses(classes, joined);
  if (AreNumbers(joined.class_names)) CountClassesUp(joined);
  return joined;
}

OpenArchive OpenOne(const std::string& path, const std::string& field) {
  const Origin origin{path, field};
  if (path.empty()) throw Error(ErrorKind::kUsage, "the file is not named", field, "set it in the recipe");
  if (!FileSystem::Real().Exists(path)) {
    throw Error(ErrorKind::kData, fmt::format("there is no file {}", path), field,
                fmt::format("get the file, or name another with --set {}=FILE", field));
  }
  OpenArchive archive{path, FileSystem::Real().Open(path), {}};
  archive.index = FindIndex(*archive.file, origin);
  return archive;
}

}  // namespace

std::unique_ptr<Dataset> OpenPackedImages(const PackedImages& config, const std::string& field,
                                          const FingerprintOptions& fingerprint, const PictureOptions& options) {
  if (config.files().empty())
    throw Error(ErrorKind::kUsage, "no file is named", field + ".files", "set it in the recipe");
  std::vector<OpenArchive> archives;
  for (const std::string& path : config.files()) archives.push_back(OpenOne(path, field + ".files"));
  PictureList list = JoinLists(archives);
  const uint64_t all = list.names.size();
  AgreeOnClasses(options.class_names, field, nullptr, list);
  CHECK(list.names.size() == all);  // an unknown class was thrown
  RequireClassCount(options, list);
  LabelledPictures pictures;
  pictures.format = "packed 1";
  pictures.store = MakeArchiveStore(std::move(archives));
  return Finish(std::move(pictures), std::move(list), fingerprint);
}

}  // namespace lockstep::data
