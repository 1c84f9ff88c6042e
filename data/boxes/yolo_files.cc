#include "data/boxes/yolo_files.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/files/file.h"
#include "data/image/decode_image.h"
#include "data/pictures/picture_list.h"
#include "data/source_file.h"

namespace lockstep::data {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string>& EntriesOf(const YoloYaml& yaml, const std::string& part, const Origin& origin) {
  const std::vector<std::string>& entries = part == "train" ? yaml.train : part == "val" ? yaml.val : yaml.test;
  if ((part == "train" || part == "val" || part == "test") && !entries.empty()) return entries;
  throw Error(ErrorKind::kUsage, fmt::format("{} names no part \"{}\"", origin.path, part), origin.field,
              "train, val or test, as it stands there");
}

void AddFolder(const fs::path& folder, const Origin& origin, std::vector<std::string>& pictures) {
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error))
    if (entry.is_regular_file() && IsPictureName(entry.path().filename().string()))
      pictures.push_back(entry.path().string());
  if (error)
    throw origin.Bad(fmt::format("{} can't be listed: {}", folder.string(), error.message()),
                     "correct \"path\" or the part's folder in it");
}

void AddList(const fs::path& list, const std::string& field, std::vector<std::string>& pictures) {
  const std::vector<std::byte> bytes = LoadSourceFile({list.string(), field}, Kinds::kAny);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) pictures.push_back((list.parent_path() / line).lexically_normal().string());
  }
}

/// The text of a picture's boxes.
std::string TextOf(const std::string& picture) {
  constexpr std::string_view kImages = "/images/", kLabels = "/labels/";
  std::string text = fs::path(picture).replace_extension(".txt").string();
  if (const size_t at = text.rfind(kImages); at != std::string::npos) text.replace(at, kImages.size(), kLabels);
  return text;
}

}  // namespace

std::string DefaultYoloPart(const std::string& field) {
  if (field.starts_with("data.validation")) return "val";
  return field.starts_with("data.test") ? "test" : "train";
}

std::vector<std::string> ListYoloPictures(const YoloYaml& yaml, const std::string& part, const Origin& origin) {
  const fs::path base = fs::absolute(origin.path).parent_path() / yaml.path;
  std::vector<std::string> pictures;
  for (const std::string& entry : EntriesOf(yaml, part, origin)) {
    const fs::path path = (base / entry).lexically_normal();
    if (path.extension() == ".txt")
      AddList(path, origin.field, pictures);
    else
      AddFolder(path, origin, pictures);
  }
  if (pictures.empty()) throw origin.Bad(fmt::format("its part {} has no picture", part), "correct the folder in it");
  std::sort(pictures.begin(), pictures.end());
  return pictures;
}

YoloImage ReadYoloImage(const std::string& picture, const std::string& field) {
  const Origin origin{picture, field};
  const ImageHeader header = ReadImageHeader(LoadSourceFile(origin, Kinds::kAny), origin);
  YoloImage image{TextOf(picture), picture, header.width, header.height, {}};
  if (FileSystem::Real().Exists(image.path))
    image.boxes = ReadYoloTxt(LoadSourceFile({image.path, field}, Kinds::kAny), {image.path, field});
  return image;
}

}  // namespace lockstep::data
