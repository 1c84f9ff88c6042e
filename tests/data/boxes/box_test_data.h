// Text as bytes, and boxes written in the formats of others.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/boxes/box_data.h"
#include "data/boxes/voc_xml.h"
#include "data/boxes/yolo_txt.h"

namespace lockstep::data {

inline std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// The annotations of BCCD in `folder`, in the order of their names.
inline BoxData ReadBccd(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "Annotations")) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<VocImage> images;
  for (const std::filesystem::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    images.push_back(ReadVocXml(Bytes(text), {path.filename().string(), "data.train"}));
  }
  return MakeVocData(images);
}

/// As COCO's JSON. Categories have ids with gaps: 3, 5, 7 ...
inline std::string WriteCoco(const BoxData& data) {
  nlohmann::json file = {{"info", {{"year", 2026}}}, {"images", nlohmann::json::array()}};
  for (size_t i = 0; i < data.categories.size(); ++i)
    file["categories"].push_back({{"id", 3 + 2 * i}, {"name", data.categories[i]}});
  int64_t id = 0;
  for (const AnnotatedImage& image : data.images) {
    file["images"].push_back(
        {{"id", image.id}, {"file_name", image.file}, {"width", image.width}, {"height", image.height}});
    for (const BoxAnnotation& box : image.boxes)
      file["annotations"].push_back({{"id", ++id},
                                     {"image_id", image.id},
                                     {"category_id", 3 + 2 * box.category},
                                     {"bbox", {box.x, box.y, box.width, box.height}},
                                     {"area", box.area},
                                     {"iscrowd", box.crowd ? 1 : 0},
                                     {"segmentation", {{box.x, box.y, box.x + box.width, box.y + box.height}}}});
  }
  return file.dump();
}

/// A picture's boxes as YOLO's text, with six decimals, as labelImg and Ultralytics' converters write them.
inline std::string WriteYolo(const AnnotatedImage& image) {
  std::string text;
  const auto width = static_cast<double>(image.width), height = static_cast<double>(image.height);
  for (const BoxAnnotation& box : image.boxes)
    text += fmt::format("{} {:.6f} {:.6f} {:.6f} {:.6f}\n", box.category, (box.x + box.width / 2) / width,
                        (box.y + box.height / 2) / height, box.width / width, box.height / height);
  return text;
}

}  // namespace lockstep::data
