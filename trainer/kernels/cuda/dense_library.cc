#include "trainer/kernels/cuda/dense_library.h"

#include <fmt/format.h>

#include "base/error.h"

namespace lockstep::cuda {

std::string MatmulSpec::ToString() const {
  return fmt::format("matrix product [{}, {}, {}]{}{} {} to {}{}{}{}", m, n, k, transpose_a ? " a^T" : "",
                     transpose_b ? " b^T" : "", Name(ab), Name(d), bias ? " + bias" : "",
                     activation == graph::Activation::kNone ? "" : std::string(" ") + Name(activation),
                     a_sums ? " and a's sums" : "");
}

std::string ConvolutionSpec::ToString() const {
  constexpr const char* kDirections[] = {"convolution", "convolution's input gradient",
                                         "convolution's weight gradient"};
  return fmt::format("{} [{}, {}, {}, {}] with {} filters {}x{}, stride {}, padding {}, groups {}, {}{}{}",
                     kDirections[static_cast<int>(direction)], n, h, w, c, o, kh, kw, stride, padding, groups,
                     Name(type), bias ? " + bias" : "",
                     activation == graph::Activation::kNone ? "" : std::string(" ") + Name(activation));
}

namespace {

class PlanningLibrary final : public DenseLibrary {
 public:
  // What is not in a product needs workspace of its own: plans are never too small.
  bool Supports(const MatmulSpec& spec) override { return !spec.a_sums; }
  size_t WorkspaceBytes(const MatmulSpec&) override { return kMatmulWorkspaceLimit; }
  size_t WorkspaceBytes(const ConvolutionSpec&) override { return kConvolutionWorkspaceLimit; }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec& spec, const MatmulOperands&, DeviceStream&) override {
    CHECK(false, "{} is only planned", spec.ToString());
    return nullptr;
  }
  std::unique_ptr<engine::Kernel> Prepare(const ConvolutionSpec& spec, const ConvolutionOperands&,
                                          DeviceStream&) override {
    CHECK(false, "{} is only planned", spec.ToString());
    return nullptr;
  }
  std::string version() const override { return "planned"; }
};

}  // namespace

std::unique_ptr<DenseLibrary> MakePlanningLibrary() { return std::make_unique<PlanningLibrary>(); }

}  // namespace lockstep::cuda
