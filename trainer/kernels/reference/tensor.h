// Values of the reference: double precision, with what comparisons need to know of them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/shape.h"

namespace lockstep::reference {

/// A value in double precision. For outputs, `magnitude` is the sum of absolute values of the terms that were added up
/// to each element, and `terms` how many they were (K): the error bound of a float kernel is a multiple of sqrt(K)
/// 2^-24 magnitude.
struct Tensor {
  Shape shape;
  std::vector<double> data;
  std::vector<double> magnitude;
  int64_t terms = 1;
};

}  // namespace lockstep::reference
