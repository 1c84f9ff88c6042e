// The binary version of CIFAR-10 (Krizhevsky 2009, www.cs.toronto.edu/~kriz/cifar.html): records of one label byte and
// the red, green and blue planes of a 32x32 picture.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "data/memory_dataset.h"
#include "data/source_file.h"

namespace lockstep::data {

/// "image" u8 [32, 32, 3] (planes are interleaved on the way) and "label" i32 [], of ten classes, collected over files.
class CifarReader {
 public:
  /// Appends the records of a file. Throws Error(kData), naming the record.
  void Add(std::span<const std::byte> file, const Origin& origin);
  Records Finish();

 private:
  std::vector<std::byte> pixels_;
  std::vector<int32_t> labels_;
};

}  // namespace lockstep::data
