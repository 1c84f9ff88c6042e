// data.yaml of a YOLO data set: what its categories are called, and where its pictures are.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/origin.h"

namespace lockstep::data {

struct YoloYaml {
  std::string path;                           ///< what the others are relative to; empty: the file's own folder
  std::vector<std::string> train, val, test;  ///< folders or lists of pictures, as they stand there
  std::vector<std::string> names;             ///< of categories, by their numbers
};

/// Reads "path", "train", "val", "test" (each a text, a list of texts, or nothing) and "names" (a list, or an object
/// whose keys are the numbers from 0); "nc", if it is there, must be their number. Other keys are not read. Throws
/// Error(kData), with the line where there is one.
YoloYaml ReadYoloYaml(std::span<const std::byte> yaml, const Origin& origin);

}  // namespace lockstep::data
