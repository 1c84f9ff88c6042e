// Decodes and resizes pictures as it is told on standard input, for compare_images.py: lines of FILE, channels,
// reduction, box (top, left, bottom, right; of the reduced picture) and size (height, width) between tabs. A size of 0
// is the region of the box, not resized. Writes the height and width of each as a line, then its bytes; or "error: ..."
// as a line.
#include <cstdio>
#include <iostream>
#include <sstream>

#include "base/error.h"
#include "data/image/decode_image.h"
#include "data/image/resize.h"
#include "data/source_file.h"

namespace lockstep::data {
namespace {

int64_t Reduced(int64_t size, int reduction) { return (size + reduction - 1) / reduction; }

void Answer(const std::string& line, ResizeScratch& scratch) {
  std::istringstream columns(line);
  std::string file;
  std::getline(columns, file, '\t');
  DecodeOptions options;
  Resizing resizing;
  columns >> options.channels >> options.reduction >> resizing.box.top >> resizing.box.left >> resizing.box.bottom >>
      resizing.box.right >> resizing.height >> resizing.width;
  const Origin origin{file, "standard input"};
  const std::vector<std::byte> bytes = LoadSourceFile(origin, Kinds::kAny);
  const ImageHeader header = ReadImageHeader(bytes, origin);
  resizing.picture_height = Reduced(header.height, options.reduction);
  resizing.picture_width = Reduced(header.width, options.reduction);
  const ImageBox& box = resizing.box;
  if (box.bottom > 0) {
    options.region = {static_cast<int64_t>(box.top), static_cast<int64_t>(box.left),
                      static_cast<int64_t>(box.bottom - box.top), static_cast<int64_t>(box.right - box.left)};
    if (resizing.height > 0) options.region = resizing.Needed();
  }
  Image image, result;
  DecodeImage(bytes, options, origin, image);
  if (resizing.height > 0) {
    Resize(image, resizing, scratch, result);
  } else {
    result = std::move(image);
  }
  fmt::print("{} {}\n", result.height, result.width);
  std::fwrite(result.pixels.data(), 1, result.pixels.size(), stdout);
}

}  // namespace
}  // namespace lockstep::data

int main() {
  lockstep::data::ResizeScratch scratch;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      lockstep::data::Answer(line, scratch);
    } catch (const lockstep::Error& error) {
      fmt::print("error: {}\n", error.what());
    }
    std::fflush(stdout);
  }
}
