// A recipe's sources of pictures.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/memory_dataset.h"
#include "data/pictures/picture_list.h"

namespace lockstep::data {

struct PictureOptions {
  std::vector<std::string> class_names = {};  ///< empty: those of the source, sorted
  int classes = 0;                            ///< what data.classes says; 0: nothing
  BrokenFunction on_broken = nullptr;
};

/// As OpenDataset, which calls it. `field`: of the message ("data.train.folder").
std::unique_ptr<Dataset> OpenImageFolder(const ImageFolder& config, const std::string& field,
                                         const FingerprintOptions& fingerprint, const PictureOptions& options);
std::unique_ptr<Dataset> OpenPackedImages(const PackedImages& config, const std::string& field,
                                          const FingerprintOptions& fingerprint, const PictureOptions& options);

}  // namespace lockstep::data
