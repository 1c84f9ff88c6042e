// IDX, the format of MNIST: two zero bytes, the element type, the number of dimensions, each dimension as a big-endian
// 32-bit number, then the elements (yann.lecun.com/exdb/mnist).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data/memory_dataset.h"
#include "data/source_file.h"

namespace lockstep::data {

struct IdxHeader {
  std::vector<int64_t> dims;
  size_t bytes = 0;  ///< length of the header; elements follow
};

/// Reads the header of a file of unsigned bytes and checks that exactly its elements follow. `what` ("images") and the
/// allowed numbers of dimensions word the message. Throws Error(kData).
IdxHeader ParseIdxHeader(std::span<const std::byte> file, const Origin& origin, const char* what, int least_dims,
                         int most_dims);

/// "image" u8 [height, width, channels] and "label" i32 [] of a pair of files. Throws Error(kData).
Records ReadIdx(std::vector<std::byte> images, const Origin& images_origin, std::span<const std::byte> labels,
                const Origin& labels_origin);

}  // namespace lockstep::data
