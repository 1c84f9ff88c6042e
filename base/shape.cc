#include "base/shape.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep {

int64_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
      return 2;
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kU8:
      return 1;
  }
  CHECK(false, "unknown dtype {}", static_cast<int>(dtype));
  return 0;
}

const char* Name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kBF16:
      return "bf16";
    case DType::kF64:
      return "f64";
    case DType::kI32:
      return "i32";
    case DType::kI64:
      return "i64";
    case DType::kU8:
      return "u8";
  }
  return "?";
}

Shape::Shape(std::initializer_list<int64_t> dims) : Shape(std::span<const int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  CHECK(dims.size() <= kMaxRank, "a shape has at most {} dimensions, not {}", +kMaxRank, dims.size());
  std::copy(dims.begin(), dims.end(), dims_.begin());
}

int64_t Shape::dim(int index) const {
  CHECK(index >= -rank_ && index < rank_, "dimension {} of {}", index, ToString());
  return dims_[static_cast<size_t>(index < 0 ? index + rank_ : index)];
}

int64_t Shape::size() const {
  int64_t size = 1;
  for (int64_t dim : dims()) size *= dim;
  return size;
}

Shape Shape::Batched(int64_t dim) const {
  Shape batched;
  CHECK(rank_ < kMaxRank);
  batched.rank_ = rank_ + 1;
  batched.dims_[0] = dim;
  std::copy_n(dims_.begin(), rank_, batched.dims_.begin() + 1);
  return batched;
}

Shape Shape::Filled(int64_t size) const {
  Shape filled = *this;
  for (int64_t& dim : filled.dims_)
    if (dim < 0) dim = size;
  return filled;
}

std::string Shape::ToString() const {
  std::string text = "[";
  for (int i = 0; i < rank_; ++i) text += (i > 0 ? ", " : "") + std::to_string(dim(i));
  return text + "]";
}

}  // namespace lockstep
