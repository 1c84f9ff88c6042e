// Boxes that a detector found, as people take them away.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trainer/metrics/detection/matches.h"

namespace lockstep::launch {

/// kCoco: one JSON list for all pictures, as COCO's programs read results (loadRes).
enum class BoxFormat { kText, kCsv, kJsonLines, kCoco };

/// Turns boxes into lines. CSV has a heading, and a line a box; JSON lines have an object a picture; text has a line a
/// box, or the picture's name alone where there is none. Coordinates are in pixels of the picture, x and y those of the
/// upper left corner. COCO's lists call a picture by the number that its file is named by ("000000000139.jpg": 139),
/// else by the file's name, and categories by their place in `classes`, from 1.
class BoxWriter {
 public:
  BoxWriter(BoxFormat format, std::vector<std::string> classes);

  std::string Heading() const;
  std::string Lines(const std::string& picture, std::span<const metrics::Detection> boxes);
  std::string End() const;

 private:
  std::string CocoLines(const std::string& picture, std::span<const metrics::Detection> boxes);
  std::string JsonLine(const std::string& picture, std::span<const metrics::Detection> boxes) const;

  const BoxFormat format_;
  const std::vector<std::string> classes_;
  bool first_ = true;  ///< of COCO's list
};

}  // namespace lockstep::launch
