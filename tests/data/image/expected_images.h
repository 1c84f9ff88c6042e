// Pictures, and what Pillow and torchvision make of them (make_expected_images.py).
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/image/image.h"

namespace lockstep::data {

inline const nlohmann::json& ExpectedImages() {
  static const nlohmann::json all =
      nlohmann::json::parse(std::ifstream(LOCKSTEP_SOURCE_DIR "/tests/data/image/expected_images.json"));
  return all;
}

template <typename T = uint8_t>
std::vector<T> FromHex(const std::string& text) {
  std::vector<T> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<T>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

/// The picture whose bytes stand under `key`.
inline Image ImageOf(const nlohmann::json& entry, const char* key, int64_t channels) {
  Image image;
  image.Resize(entry["height"], entry["width"], channels);
  image.pixels = FromHex(entry[key]);
  return image;
}

}  // namespace lockstep::data
