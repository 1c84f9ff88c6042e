// Which pictures a YOLO data set has, and where their boxes lie.
#pragma once

#include <string>
#include <vector>

#include "data/boxes/yolo_txt.h"
#include "data/boxes/yolo_yaml.h"
#include "data/origin.h"

namespace lockstep::data {

/// What a split's source takes where it names no part: "train" of "data.train.yolo", "val" of data.validation, "test".
std::string DefaultYoloPart(const std::string& field);

/// Absolute paths of the pictures of "train", "val" or "test": those in and below its folders, and those that its lists
/// (*.txt) name, sorted by their bytes. `origin`: of the data.yaml. Throws Error(kUsage) where it names no such part,
/// and Error(kData) where a folder can't be listed or there is no picture.
std::vector<std::string> ListYoloPictures(const YoloYaml& yaml, const std::string& part, const Origin& origin);

/// The boxes of a picture, from the text beside it: labels/NAME.txt for images/NAME.jpg, else NAME.txt in its own
/// folder; none where there is no such text. Throws Error(kData).
YoloImage ReadYoloImage(const std::string& picture, const std::string& field);

}  // namespace lockstep::data
