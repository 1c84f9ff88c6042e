// Encoded pictures that tests write for themselves.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

#include "data/image/image.h"

namespace lockstep::data {

/// A PNG chunk: length, type, content, checksum.
inline std::string PngChunk(const std::string& type, const std::string& content) {
  const auto number = [](uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
    return bytes;
  };
  const std::string checked = type + content;
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size()));
  return number(static_cast<uint32_t>(content.size())) + checked + number(static_cast<uint32_t>(sum));
}

/// A PNG of 8 bits, without filters.
inline std::string Png(const Image& image) {
  std::string rows;
  for (int64_t y = 0; y < image.height; ++y) {
    rows.push_back(0);
    rows.append(reinterpret_cast<const char*>(image.row(y)), static_cast<size_t>(image.row_bytes()));
  }
  std::string packed(compressBound(rows.size()), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  packed.resize(size);
  std::string header;
  for (const int64_t side : {image.width, image.height})
    for (int shift = 24; shift >= 0; shift -= 8) header.push_back(static_cast<char>(side >> shift));
  header += std::string({8, static_cast<char>(image.channels == 3 ? 2 : 0), 0, 0, 0});
  return "\x89PNG\r\n\x1A\n" + PngChunk("IHDR", header) + PngChunk("IDAT", packed) + PngChunk("IEND", "");
}

/// A picture whose pixels differ, and differ from those of other starts.
inline Image PatternImage(int64_t height, int64_t width, unsigned start, int64_t channels = 3) {
  Image image;
  image.Resize(height, width, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<uint8_t>(i * 37 + i / 251 + start * 11);
  return image;
}

}  // namespace lockstep::data
