// NumPy's .npy (NumPy Enhancement Proposal 1): a magic number, a version, the length of a header that is a Python
// dictionary, and the array's elements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/origin.h"

namespace lockstep::data {

struct NpyHeader {
  std::string descr;  ///< NumPy's name of the type: "<f4", "|u1", ">i8", "<U12"
  /// 'u' and 'i' integers, 'f' floats, 'b' booleans, 'U' UTF-32, 'S' bytes; others as NumPy has them.
  char kind = 0;
  size_t width = 0;  ///< bytes of an element; of 'U' four for each character
  bool big_endian = false;
  bool fortran_order = false;  ///< the first index runs fastest
  std::vector<int64_t> shape;
  size_t bytes = 0;  ///< of the header; elements follow
};

/// Whether a file that begins so is one.
bool IsNpy(std::span<const std::byte> beginning);

/// Reads the header of a file that begins so. Throws Error(kData) where it is damaged, or elements are no plain numbers
/// or strings (objects, records).
NpyHeader ParseNpyHeader(std::span<const std::byte> beginning, const Origin& origin);

/// The elements of a whole file, the last index fastest, all in this machine's byte order. Throws Error(kData) where
/// there are more or fewer than its shape says.
struct NpyArray {
  NpyHeader header;
  std::vector<std::byte> bytes;
  size_t offset = 0;  ///< where the elements begin in `bytes`

  std::span<const std::byte> elements() const { return std::span(bytes).subspan(offset); }
};
NpyArray ReadNpy(std::vector<std::byte> file, const Origin& origin);

/// What stands in front of the elements, the last index fastest, of a file of that type and shape.
std::string NpyHeaderBytes(const std::string& descr, std::span<const int64_t> shape);

}  // namespace lockstep::data
