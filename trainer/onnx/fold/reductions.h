// What operators that reduce say, in one form for all versions of the standard.
#pragma once

#include <vector>

#include "trainer/onnx/fold/step.h"

namespace lockstep::onnx {

struct Reduction {
  std::vector<size_t> axes;  ///< ascending; none: x stays as it is
  bool keep = true;
};
/// Of a ReduceSum, ReduceMean, ...
Reduction ReductionOf(const Step& step);

}  // namespace lockstep::onnx
