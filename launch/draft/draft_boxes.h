// A recipe for pictures with boxes around objects: Pascal VOC's folders, COCO's JSON, YOLO's data.yaml.
#pragma once

#include <optional>
#include <string>

#include "launch/draft/draft.h"

namespace lockstep::launch {

/// Where boxes are written.
struct BoxFiles {
  enum class Kind { kVoc, kCoco, kYolo };
  Kind kind = Kind::kVoc;
  std::string path;  ///< the folder of VOC, COCO's JSON file, YOLO's data.yaml
};

/// What a file or folder has of it: a folder with Annotations and JPEGImages; a JSON file of COCO's, or a folder with
/// one in it or in its annotations/; a data.yaml, or a folder with one. Nothing where it is none of these.
std::optional<BoxFiles> FindBoxFiles(const std::string& path);

/// Throws Error(kData) or Error(kUsage) where they can't be read.
Draft DraftBoxes(const BoxFiles& files, const DraftOptions& options);

}  // namespace lockstep::launch
