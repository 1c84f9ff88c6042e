#include "data/boxes/open_boxes.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "data/boxes/box_data.h"
#include "data/boxes/boxed_pictures.h"
#include "data/boxes/coco_json.h"
#include "data/boxes/voc_xml.h"
#include "data/boxes/yolo_files.h"
#include "data/boxes/yolo_txt.h"
#include "data/boxes/yolo_yaml.h"
#include "data/pictures/stores.h"
#include "data/source_file.h"

namespace lockstep::data {
namespace {

namespace fs = std::filesystem;

/// Whether boxes mean something else than they say, all of them.
bool IsNonsense(BoxProblem problem) {
  return problem == BoxProblem::kShiftedCategories || problem == BoxProblem::kOtherName ||
         problem == BoxProblem::kCorners;
}

void TellProblems(const BoxProblems& problems, const Origin& origin, const BrokenFunction& on_broken) {
  for (const auto& [problem, found] : problems.all()) {
    const std::string text = fmt::format("{} {}; the first: {}", found.count, NameOf(problem), found.first);
    if (on_broken || IsNonsense(problem))
      Report(on_broken, origin.Bad(text, AdviceOn(problem)));
    else
      LogWarning("{}: {}: {}: {}", origin.field, origin.path, text, AdviceOn(problem));
  }
}

/// Numbers categories as the model does, and makes the data set. `folder`: where pictures' files are looked for.
std::unique_ptr<Dataset> Finish(BoxData data, const std::string& folder, const Origin& origin,
                                const FingerprintOptions& fingerprint, const BoxOptions& options) {
  if (!options.class_names.empty()) MatchCategories(options.class_names, data);
  TellProblems(data.problems, origin, options.on_broken);
  const auto count = static_cast<int>(data.categories.size());
  if (options.classes != 0 && options.classes != count)
    throw Error(ErrorKind::kUsage, fmt::format("it is {}, but objects are of {} classes", options.classes, count),
                "data.classes", "remove it: names of classes say how many there are");
  BoxedPictures pictures;
  pictures.format = "boxes 1";
  pictures.class_names = std::move(data.categories);
  PictureNames names;
  for (const AnnotatedImage& image : data.images) {
    names.Add(image.file);
    pictures.heights.push_back(image.height);
    pictures.widths.push_back(image.width);
    pictures.boxes.insert(pictures.boxes.end(), image.boxes.begin(), image.boxes.end());
    pictures.ends.push_back(pictures.boxes.size());
  }
  if (names.size() == 0) throw origin.Bad("there is no picture", "name another");
  if (pictures.boxes.empty()) throw origin.Bad("no picture has a box that can be used", "see lockstep data check");
  pictures.store = MakeFileStore(folder, std::move(names));
  return MakeBoxedDataset(std::move(pictures), fingerprint);
}

std::string Required(const std::string& path, const std::string& field) {
  if (path.empty()) throw Error(ErrorKind::kUsage, "is not named", field, "set it in the recipe");
  return path;
}

/// The words that lines begin with.
std::vector<std::string> FirstWords(const Origin& origin) {
  const std::vector<std::byte> bytes = LoadSourceFile(origin, Kinds::kAny);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    line = line.substr(0, line.find_first_of(" \t\r"));
    if (!line.empty()) words.emplace_back(line);
  }
  return words;
}

/// Names of files with that extension, without it, sorted.
std::vector<std::string> NamesIn(const std::string& folder, const std::string& extension, const std::string& field) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == extension) names.push_back(entry.path().stem().string());
  if (error)
    throw Error(ErrorKind::kData, fmt::format("{} can't be listed: {}", folder, error.message()), field,
                "name the folder that has Annotations, JPEGImages and, for sets, ImageSets in it");
  std::sort(names.begin(), names.end());
  return names;
}

/// The names that a set's list has. Throws Error(kData) with the sets that there are where there is no such list.
std::vector<std::string> NamesOfSet(const std::string& folder, const std::string& set, const std::string& field) {
  const std::string lists = folder + "/ImageSets/Main";
  const Origin list{fmt::format("{}/{}.txt", lists, set), field + ".sets"};
  if (!FileSystem::Real().Exists(list.path))
    throw Error(ErrorKind::kData, fmt::format("there is no list {}", list.path), list.field,
                fmt::format("there are {}", fmt::join(NamesIn(lists, ".txt", field + ".path"), ", ")));
  return FirstWords(list);
}

/// The picture's file in the folder: as the annotation calls it, or by the annotation's own name.
std::string VocPicture(const std::string& path, const std::string& name, const std::string& said) {
  const std::string pictures = "JPEGImages/";
  std::vector<std::string> candidates = {name + ".jpg", name + ".jpeg", name + ".png", name + ".JPG"};
  const std::string file = fs::path(said).filename().string();
  if (fs::path(file).stem() == name) candidates.insert(candidates.begin(), file);
  for (const std::string& candidate : candidates)
    if (FileSystem::Real().Exists(path + "/" + pictures + candidate)) return pictures + candidate;
  return pictures + candidates.front();
}

}  // namespace

std::unique_ptr<Dataset> OpenVocBoxes(const VocBoxes& config, const std::string& field,
                                      const FingerprintOptions& fingerprint, const BoxOptions& options) {
  const std::string folder = Required(config.path(), field + ".path");
  std::vector<std::string> names;
  for (const std::string& set : config.sets())
    for (std::string& name : NamesOfSet(folder, set, field)) names.push_back(std::move(name));
  if (config.sets().empty()) names = NamesIn(folder + "/Annotations", ".xml", field + ".path");
  std::vector<VocImage> images;
  for (const std::string& name : names) {
    const Origin origin{fmt::format("{}/Annotations/{}.xml", folder, name), field + ".path"};
    try {
      images.push_back(ReadVocXml(LoadSourceFile(origin, Kinds::kAny), origin));
      images.back().file = VocPicture(folder, name, images.back().file);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      Report(options.on_broken, error);
    }
  }
  return Finish(MakeVocData(images), folder, {folder, field + ".path"}, fingerprint, options);
}

std::unique_ptr<Dataset> OpenCocoBoxes(const CocoBoxes& config, const std::string& field,
                                       const FingerprintOptions& fingerprint, const BoxOptions& options) {
  const Origin origin{Required(config.annotations(), field + ".annotations"), field + ".annotations"};
  std::string folder = config.images().empty() ? fs::path(origin.path).parent_path().string() : config.images();
  return Finish(ReadCocoJson(LoadSourceFile(origin, Kinds::kAny), origin), folder, origin, fingerprint, options);
}

std::unique_ptr<Dataset> OpenYoloBoxes(const YoloBoxes& config, const std::string& field,
                                       const FingerprintOptions& fingerprint, const BoxOptions& options) {
  const Origin origin{Required(config.file(), field + ".file"), field + ".file"};
  const YoloYaml yaml = ReadYoloYaml(LoadSourceFile(origin, Kinds::kAny), origin);
  const std::string part = config.part().empty() ? DefaultYoloPart(field) : config.part();
  std::vector<YoloImage> images;
  for (const std::string& picture : ListYoloPictures(yaml, part, origin)) {
    try {
      images.push_back(ReadYoloImage(picture, field + ".file"));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      Report(options.on_broken, error);
    }
  }
  return Finish(MakeYoloData(yaml.names, images), "", origin, fingerprint, options);
}

std::vector<std::string> PartsOfYolo(const std::string& file) {
  const Origin origin{file, "DATA"};
  const YoloYaml yaml = ReadYoloYaml(LoadSourceFile(origin, Kinds::kAny), origin);
  std::vector<std::string> parts;
  for (const auto& [name, entries] : {std::pair{"train", &yaml.train}, {"val", &yaml.val}, {"test", &yaml.test}})
    if (!entries->empty()) parts.emplace_back(name);
  return parts;
}

}  // namespace lockstep::data
