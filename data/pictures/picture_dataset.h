// Encoded pictures as samples: read when they are asked for, decoded by the transform (image/picture_transform.h).
//
// Fields: "encoded" u8 [-1], the file's bytes; "name" u8 [-1], its path, for errors; "label" i32 [].
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/memory_dataset.h"
#include "data/pictures/picture_store.h"

namespace lockstep::data {

struct LabelledPictures {
  std::string format;  ///< "folder 1": of the fingerprint
  std::unique_ptr<PictureStore> store;
  std::vector<int32_t> labels;           ///< of each
  std::vector<std::string> class_names;  ///< in the order of the labels
};

/// Reads what the fingerprint needs (hash_pictures.h). Throws Error(kData).
std::unique_ptr<Dataset> MakePictureDataset(LabelledPictures pictures, const FingerprintOptions& options);

}  // namespace lockstep::data
