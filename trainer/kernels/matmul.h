// How a product of batches (OpKind::kMatMul) is done: as one product of all rows where it can be, else matrix by
// matrix, over as few batch dimensions as there can be.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/shape.h"
#include "trainer/graph/tensor_attributes.h"

namespace lockstep::kernels {

struct BatchedProduct {
  int64_t m = 0, k = 0, n = 0;
  bool transpose_a = false, transpose_b = false;
  float scale = 1;
  /// Matrices, by batch dimension, outermost first; an operand without one is the same for all of it.
  struct Batch {
    int64_t size;
    bool of_a, of_b;
  };
  int batches = 0;
  Batch batch[Shape::kMaxRank] = {};

  BatchedProduct(const Shape& a, const Shape& b, const graph::MatMulAttributes& attributes);
  int64_t matrices() const {
    int64_t all = 1;
    for (int i = 0; i < batches; ++i) all *= batch[i].size;
    return all;
  }
};

inline BatchedProduct::BatchedProduct(const Shape& a, const Shape& b, const graph::MatMulAttributes& attributes)
    : m(a.dim(attributes.transpose_a ? -1 : -2)),
      k(a.dim(attributes.transpose_a ? -2 : -1)),
      n(b.dim(attributes.transpose_b ? -2 : -1)),
      transpose_a(attributes.transpose_a),
      transpose_b(attributes.transpose_b),
      scale(attributes.scale) {
  for (int d = -std::max(a.rank(), b.rank()); d < -2; ++d) {
    const int64_t in_a = -d <= a.rank() ? a.dim(d) : 1, in_b = -d <= b.rank() ? b.dim(d) : 1;
    const Batch next{std::max(in_a, in_b), in_a > 1, in_b > 1};
    if (next.size == 1) continue;
    if (batches > 0 && batch[batches - 1].of_a == next.of_a && batch[batches - 1].of_b == next.of_b) {
      batch[batches - 1].size *= next.size;
    } else {
      batch[batches++] = next;
    }
  }
  // Rows of all of a's matrices follow each other.
  if (batches == 1 && !batch[0].of_b && !transpose_a) {
    m *= batch[0].size;
    batches = 0;
  }
}

}  // namespace lockstep::kernels
