// Shapes and element types of tensors. A Shape is a value: up to six dimensions, held in place, row-major.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace lockstep {

enum class DType : uint8_t { kF32, kBF16, kF64, kI32, kI64, kU8 };

/// Bytes of one element.
int64_t SizeOf(DType dtype);
/// "f32", "bf16", "f64", "i32", "i64", "u8".
const char* Name(DType dtype);

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  /// Negative indices count from the end: dim(-1) is the innermost. REQUIRES: -rank() <= index < rank().
  int64_t dim(int index) const;
  int64_t operator[](int index) const { return dim(index); }
  std::span<const int64_t> dims() const { return {dims_.data(), static_cast<size_t>(rank_)}; }
  /// The number of elements; 1 for a scalar (rank 0).
  int64_t size() const;
  /// This shape with `dim` put in front: a batch of it.
  Shape Batched(int64_t dim) const;
  /// This shape with `size` for every negative dimension.
  Shape Filled(int64_t size) const;
  /// "[32, 28, 28, 1]".
  std::string ToString() const;

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

}  // namespace lockstep
