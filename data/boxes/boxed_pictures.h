// Encoded pictures with boxes around objects: read when they are asked for, decoded by the transform
// (boxed_transform.h).
//
// Fields of a sample, which is made of one picture or, in training with mosaics, of four: "pictures" u8 [-1], the
// files' bytes one behind the other; "name" u8 [-1], the first one's path, for errors; "sizes" i64 [-1], of each
// picture its file's bytes, its height and width, and how many boxes it has; "boxes" u8 [-1], its BoxAnnotations as
// they lie in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/annotation.h"
#include "data/dataset.h"
#include "data/memory_dataset.h"
#include "data/pictures/picture_store.h"

namespace lockstep::data {

/// Of a sample's "sizes", for each of its pictures.
struct PictureSizes {
  int64_t bytes = 0, height = 0, width = 0, boxes = 0;
};

struct BoxedPictures {
  std::string format;  ///< "boxes 1": of the fingerprint
  std::unique_ptr<PictureStore> store;
  std::vector<int64_t> heights, widths;    ///< of each picture, in pixels; 0: its file says it
  std::vector<BoxAnnotation> boxes;        ///< of all, picture by picture
  std::vector<uint64_t> ends;              ///< where each picture's end in `boxes`
  std::vector<std::string> class_names{};  ///< in the order of the categories
};

/// Reads what the fingerprint needs (hash_pictures.h), and of pictures without a size the beginning. Throws
/// Error(kData).
std::unique_ptr<Dataset> MakeBoxedDataset(BoxedPictures pictures, const FingerprintOptions& options);

/// `pictures` as a training set in which, with that probability, a sample is made of four: its own picture and three
/// drawn for (seed, epoch, id).
std::shared_ptr<const Dataset> WithMosaics(std::shared_ptr<const Dataset> pictures, double probability, uint64_t seed);

}  // namespace lockstep::data
