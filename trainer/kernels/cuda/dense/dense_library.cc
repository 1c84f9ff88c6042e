#include "trainer/kernels/cuda/dense/dense_library.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/memory.h"

namespace lockstep::cuda {

std::string MatmulSpec::ToString() const {
  return fmt::format("{}matrix product [{}, {}, {}]{}{}{} {} to {}{}{}{}{}",
                     batch > 1 ? fmt::format("{} times ", batch) : "", m, n, k,
                     a_pitch > 0 || d_pitch > 0 ? fmt::format(" with rows {} and {} apart", a_step(), d_step()) : "",
                     transpose_a ? " a^T" : "", transpose_b ? " b^T" : "", Name(ab), Name(d), bias ? " + bias" : "",
                     activation == graph::Activation::kNone ? "" : std::string(" ") + Name(activation),
                     a_sums ? " and a's sums" : "", adds ? ", added" : "");
}

std::string ConvolutionSpec::ToString() const {
  constexpr const char* kDirections[] = {"convolution", "convolution's input gradient",
                                         "convolution's weight gradient"};
  return fmt::format("{} [{}, {}, {}, {}] with {} filters {}x{}, stride {}, padding {}, dilation {}, groups {}, {}{}{}",
                     kDirections[static_cast<int>(direction)], n, h, w, c, o, kh, kw, graph::ToString(stride),
                     graph::ToString(padding), graph::ToString(dilation), groups, Name(type), bias ? " + bias" : "",
                     activation == graph::Activation::kNone ? "" : std::string(" ") + Name(activation));
}

std::string AttentionSpec::ToString() const {
  return fmt::format("{}{} of {} rows of {} positions, {} heads of {}, {}", causal ? "causal " : "",
                     direction == Direction::kForward ? "attention" : "attention's gradient", rows, positions, heads,
                     head_size, Name(type));
}

namespace {

/// Scores of `rows` in bf16, tiles filled up.
size_t ScoreBytes(const AttentionSpec& spec, int64_t rows) {
  constexpr size_t kTile = 128;
  const size_t positions = AlignUp(static_cast<size_t>(spec.positions), kTile);
  return static_cast<size_t>(rows * spec.heads) * positions * positions * 2;
}
/// Of the kernels beside the scores.
constexpr size_t kSlack = 4096;

}  // namespace

int64_t GradientRows(const AttentionSpec& spec) {
  for (int64_t rows = spec.rows; rows > 0; --rows) {
    if (spec.rows % rows == 0 && ScoreBytes(spec, rows) + kSlack <= kAttentionWorkspaceLimit) return rows;
  }
  return 0;
}

size_t AttentionWorkspaceBound(const AttentionSpec& spec) {
  const auto statistic = static_cast<size_t>(spec.rows * spec.heads * spec.positions) * sizeof(float);
  const bool gradient = spec.direction == AttentionSpec::Direction::kGradient;
  return AlignUp(statistic, kBufferAlignment) + (gradient ? ScoreBytes(spec, GradientRows(spec)) : 0) + kSlack;
}

namespace {

class PlanningAttention final : public AttentionLibrary {
 public:
  bool Supports(const AttentionSpec& spec) override { return GradientRows(spec) > 0; }
  size_t WorkspaceBytes(const AttentionSpec& spec) override { return AttentionWorkspaceBound(spec); }
  std::unique_ptr<engine::Kernel> Prepare(const AttentionSpec& spec, const AttentionOperands&, DeviceStream&) override {
    CHECK(false, "{} is only planned", spec.ToString());
    return nullptr;
  }
};

class PlanningLibrary final : public DenseLibrary {
 public:
  AttentionLibrary* attention() override { return &attention_; }
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

 private:
  PlanningAttention attention_;
};

}  // namespace

std::unique_ptr<DenseLibrary> MakePlanningLibrary() { return std::make_unique<PlanningLibrary>(); }

}  // namespace lockstep::cuda
