// The lists of a COCO file as they stand there, before ids are looked up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/origin.h"

namespace lockstep::data {

struct CocoImage {
  std::optional<int64_t> id, width, height;
  std::optional<std::string> file;
};

struct CocoAnnotation {
  std::optional<int64_t> id, image, category;
  std::array<double, 4> box = {};
  int box_numbers = 0;  ///< how many "bbox" has; of more than 4 the first are kept
  std::optional<double> area;
  bool crowd = false;
};

struct CocoCategory {
  std::optional<int64_t> id;
  std::optional<std::string> name;
};

struct CocoLists {
  std::vector<CocoImage> images;
  std::vector<CocoAnnotation> annotations;
  std::vector<CocoCategory> categories;
};

/// Throws Error(kData) as ReadCocoJson does, but for fields that are missing.
CocoLists ParseCocoLists(std::span<const std::byte> json, const Origin& origin);

}  // namespace lockstep::data
