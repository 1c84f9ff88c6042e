// A file's picture as the number of pixels that a recipe wants: which part of it, and the pixels of that part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/philox.h"
#include "data/data.pb.h"
#include "data/image/decode_options.h"
#include "data/image/image.h"
#include "data/image/resize.h"

namespace lockstep::data {

/// A part of a picture, and how large it becomes: all of the wanted size but with PAD.
struct Placing {
  ImageBox box;
  int64_t height = 0, width = 0;
};

/// What a thread uses again for each of its pictures: allocating and clearing a megabyte takes as long as resizing it.
struct FitScratch {
  Image decoded, resized;
  ResizeScratch resize;
};

/// Thread-safe.
class PictureFit {
 public:
  /// `crop`: how parts are drawn in training; null: they are not. Throws Error(kUsage) naming the field.
  PictureFit(const Pictures& pictures, const RandomResizedCrop* crop);

  int64_t height() const { return pictures_.height(); }
  int64_t width() const { return pictures_.width(); }
  int64_t channels() const { return pictures_.channels(); }

  /// Where a picture of that size goes. A part is drawn from `stream` in training with a crop.
  Placing Place(int64_t height, int64_t width, const RandomStream& stream, bool augment) const;
  /// The pixels of an encoded picture there, placing.height x placing.width; they lie in `scratch`. Where the part is
  /// at least twice as large as wanted, JPEG is decoded at a fraction of its size. Throws Error(kData) naming `origin`.
  const Image& Pixels(std::span<const std::byte> bytes, const ImageHeader& header, const Placing& placing,
                      const Origin& origin, FitScratch& scratch) const;

 private:
  Pictures pictures_;
  bool random_crop_ = false;
  RandomResizedCrop crop_;
};

}  // namespace lockstep::data
