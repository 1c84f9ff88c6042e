#include "trainer/kernels/cuda/dense_library.h"

#include <fmt/format.h>

namespace lockstep::cuda {

std::string MatmulSpec::ToString() const {
  return fmt::format("matrix product [{}, {}, {}]{}{} {} to {}{}{}", m, n, k, transpose_a ? " a^T" : "",
                     transpose_b ? " b^T" : "", Name(ab), Name(d), bias ? " + bias" : "",
                     activation == graph::Activation::kNone ? "" : std::string(" ") + Name(activation));
}

std::string ConvolutionSpec::ToString() const {
  constexpr const char* kDirections[] = {"convolution", "convolution's input gradient", "convolution's weight gradient"};
  return fmt::format("{} [{}, {}, {}, {}] with {} filters {}x{}, stride {}, padding {}, groups {}, {}{}{}",
                     kDirections[static_cast<int>(direction)], n, h, w, c, o, kh, kw, stride, padding, groups,
                     Name(type), bias ? " + bias" : "",
                     activation == graph::Activation::kNone ? "" : std::string(" ") + Name(activation));
}

}  // namespace lockstep::cuda
