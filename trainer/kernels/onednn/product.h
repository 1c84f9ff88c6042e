// Matrix products of plain row-major matrices as oneDNN primitives.
#pragma once

#include <cstddef>
#include <cstdint>

#include "trainer/kernels/onednn/primitives.h"

namespace lockstep::onednn {

/// c [m, n] = a [m, k] b [k, n]
struct ProductShape {
  int64_t m = 0, k = 0, n = 0;
  bool a_transposed = false, b_transposed = false;  ///< the matrix lies in memory as the transpose: [k, m], [n, k]
  bool bias = false;                                ///< + bias [n]
  bool relu = false;
  bool accumulate = false;  ///< c += instead of c =
  bool b_packed = false;    ///< b comes in the layout that the library likes best, where this is another; equal bits
  float scale = 1;          ///< of the product; 1 where there is a bias or relu, or it accumulates
};

class Product {
 public:
  explicit Product(const ProductShape& shape);

  size_t ScratchpadBytes() const;
  /// Of a packed b; 0: b comes plain, as it was not asked to be packed, or the library likes the plain one best.
  size_t PackedBytes() const;
  /// From b as it lies plain to the packed copy. REQUIRES: PackedBytes() > 0.
  PreparedPrimitive PreparePack(const void* plain, void* packed) const;
  /// `bias_data` is nullptr where there is none.
  PreparedPrimitive Prepare(const void* a_data, const void* b_data, const void* bias_data, void* c_data,
                            std::byte* scratchpad) const;

 private:
  bool Describe(const ProductShape& shape);

  dnnl::memory::desc a_, plain_b_, b_, bias_, c_;  ///< b_: as the product reads it
  dnnl::matmul::primitive_desc description_;
};

}  // namespace lockstep::onednn
