// The two models whose kernels were read line by line before any card ran them: what that reading came to by hand, and
// what the estimate makes of the same kernels. Both are estimates.
#include "launch/estimate/gpu_model.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "tests/trainer/engine/forwarding_backend.h"
#include "tests/trainer/kernels/cuda/emulated_backend.h"
#include "trainer/engine/compile.h"
#include "trainer/models/models.h"

namespace lockstep::launch {
namespace {

using graph::OpKind;

struct Trained {
  engine::ProgramPlan program;
  StepDemand demand;
};

/// Has kernels for one op each, as when they were read.
class UnfusedBackend final : public engine::ForwardingBackend {
 public:
  bool FusesOps() const override { return false; }

 private:
  engine::Backend& inner() const override { return *inner_; }

  std::unique_ptr<engine::Backend> inner_ = cuda::MakeEmulatedBackend();
};

/// One lane of a model in bf16.
Trained Train(const models::ModelConfig& config, const models::DataShape& data, int64_t rows, int state_arrays,
              bool fused, std::optional<passes::ByteInput> bytes = std::nullopt) {
  const graph::Graph model = models::Build(config, data, graph::Mode::kTrain, rows).graph;
  const engine::ParameterLayout layout(model);
  std::unique_ptr<engine::Backend> backend = cuda::MakeEmulatedBackend();
  if (!fused) backend = std::make_unique<UnfusedBackend>();
  Trained trained{engine::Compile(model, layout, *backend,
                                  {.mode = graph::Mode::kTrain,
                                   .activations = DType::kBF16,
                                   .buckets = {{0, layout.elements()}},
                                   .bytes = std::move(bytes)}),
                  {}};
  trained.demand.programs.resize(1);
  trained.demand.programs[0].packed_bytes = static_cast<double>(trained.program.packed_bytes);
  trained.demand.steps = {{{0}}};
  trained.demand.elements = static_cast<double>(layout.elements());
  trained.demand.state_arrays = state_arrays;
  return trained;
}

Trained Gpt2(bool fused) {
  models::ModelConfig config;
  auto& gpt = *config.mutable_gpt();
  gpt.set_layers(12);
  gpt.set_heads(12);
  gpt.set_width(768);
  gpt.set_context(1024);
  return Train(config, {"tokens", Shape{1024}, 50257, 0}, 64, 2, fused);
}

Trained ResNet50(bool fused, std::optional<passes::ByteInput> bytes = std::nullopt) {
  models::ModelConfig config;
  config.mutable_resnet()->set_depth(50);
  return Train(config, {"image", Shape{224, 224, 3}, 1000, 0}, 256, 1, fused, std::move(bytes));
}

GpuEstimate Estimate(const Trained& trained, const GpuKernels& kernels) {
  return EstimateGpuStep(trained.demand, {&trained.program}, *FindGpu("h200"), kernels);
}

double Milliseconds(const GpuEstimate& estimate, const std::vector<std::string>& kinds) {
  double sum = 0;
  for (const KindTime& kind : estimate.kinds)
    if (std::ranges::find(kinds, kind.kind) != kinds.end()) sum += 1e3 * kind.seconds;
  return sum;
}

/// As they were when they were read.
GpuKernels KernelsAsRead() {
  GpuKernels kernels = OurKernels();
  kernels.instructions = {{OpKind::kSoftmaxCrossEntropy, 46 + 23},
                          {OpKind::kSoftmaxCrossEntropyGrad, 120},
                          {OpKind::kLayerNorm, 18},
                          {OpKind::kLayerNormGrad, 21},
                          {OpKind::kBatchNormTrain, 14},
                          {OpKind::kBatchNormGrad, 21}};
  kernels.activations = {{graph::Activation::kGelu, {115, 122}}, {graph::Activation::kGeluTanh, {80, 118}}};
  kernels.tabulated.clear();
  kernels.passes = {{OpKind::kBatchNormTrain, 1.5},
                    {OpKind::kBatchNormGrad, 1.75},
                    {OpKind::kLayerNorm, 1.5},
                    {OpKind::kLayerNormGrad, 1.5}};
  kernels.splits_k = kernels.sums_biases_apart = kernels.pads_rows = false;
  kernels.stages_beside_lanes = kernels.lane_ahead = false;
  kernels.conclusion_seconds = 66e-9;
  kernels.rounding_seconds = 0.65e-9;
  kernels.copy_seconds = 0;
  return kernels;
}

struct Line {
  const char* what;
  std::vector<std::string> kinds;
  double read_ms;
};

void ExpectWithin15Percent(const GpuEstimate& estimate, const std::vector<Line>& lines, double step_ms) {
  for (const auto& [what, kinds, read_ms] : lines)
    EXPECT_NEAR(Milliseconds(estimate, kinds), read_ms, 0.15 * read_ms) << what;
  EXPECT_NEAR(1e3 * estimate.step.step, step_ms, 0.15 * step_ms);
}

TEST(GpuModel, ReproducesTheReadingOfGpt2) {
  ExpectWithin15Percent(Estimate(Gpt2(false), KernelsAsRead()),
                        {{"products and head", {"linear", "linear_input_grad", "linear_weight_grad"}, 54 + 8 + 138},
                         {"classes", {"softmax_cross_entropy", "softmax_cross_entropy_grad"}, 27},
                         {"attention", {"attention", "attention_grad"}, 3 + 16},
                         {"gelu", {"activation", "activation_grad"}, 12 + 12},
                         {"norms and sums", {"layer_norm", "layer_norm_grad", "add"}, 11},
                         {"update", {"update", "conclude"}, 3}},
                        285);
}

TEST(GpuModel, ReproducesTheReadingOfResNet50) {
  ExpectWithin15Percent(Estimate(ResNet50(false), KernelsAsRead()),
                        {{"convolutions", {"conv2d", "conv2d_input_grad", "conv2d_weight_grad"}, 21},
                         {"batch norm", {"batch_norm_train"}, 5.3},
                         {"its gradient", {"batch_norm_grad"}, 9.9},
                         {"sums", {"add", "activation_grad"}, 7.5},
                         {"staging", {"staging"}, 28}},
                        73);
}

TEST(GpuModel, PaddedRowsMakeTheHeadAlignedProducts) {
  const Trained gpt = Gpt2(false);
  GpuKernels kernels = KernelsAsRead();
  const double before = Milliseconds(Estimate(gpt, kernels), {"linear", "linear_input_grad", "linear_weight_grad"});
  kernels.pads_rows = true;
  const double after = Milliseconds(Estimate(gpt, kernels), {"linear", "linear_input_grad", "linear_weight_grad"});
  EXPECT_NEAR(before - after, 138 - 23, 15);
}

TEST(GpuModel, HalfOfTheBytesGoUpWhereImagesAreBytes) {
  const passes::ByteInput images{"image", "inside", {.mean = {}, .deviation = {1, 1, 1}}};
  const Trained floats = ResNet50(true), bytes = ResNet50(true, images);
  const double pixels = 256 * 224 * 224 * 3;
  EXPECT_NEAR(static_cast<double>(floats.program.input_bytes), 2 * pixels, 4 * 4096);
  EXPECT_NEAR(static_cast<double>(bytes.program.input_bytes), pixels, 4 * 4096);
  GpuKernels kernels = OurKernels();
  kernels.stages_beside_lanes = false;
  const double before = Milliseconds(Estimate(floats, kernels), {"staging"}),
               after = Milliseconds(Estimate(bytes, kernels), {"staging"});
  EXPECT_NEAR(after, before / 2, 0.01 * before);
  // Converting takes as long as reading them, and writing twice as much.
  const double converting = Milliseconds(Estimate(bytes, kernels), {"pixels"});
  EXPECT_GT(converting, 1e3 * 3 * pixels / 4.8e12);
  EXPECT_LT(converting, 0.1 * (before - after));
}

TEST(GpuModel, FusedOpsMoveWhatTheyReadAndWriteOnce) {
  const GpuEstimate apart = Estimate(Gpt2(false), OurKernels()), fused = Estimate(Gpt2(true), OurKernels());
  const double bandwidth = FindGpu("h200")->bytes_per_s, logits = 2.0 * 64 * 1024 * 50257, rows = 2.0 * 64 * 1024 * 768;
  EXPECT_EQ(Milliseconds(fused, {"softmax_cross_entropy", "softmax_cross_entropy_grad"}), 0);
  EXPECT_GE(Milliseconds(fused, {"softmax_cross_entropy_train"}), 1e3 * 2 * logits / bandwidth);
  EXPECT_LT(Milliseconds(fused, {"softmax_cross_entropy_train"}),
            Milliseconds(apart, {"softmax_cross_entropy", "softmax_cross_entropy_grad"}));
  // 24 sums with the norm behind them: a + b -> sum, y. All norms but the first have one.
  EXPECT_NEAR(Milliseconds(fused, {"add_layer_norm"}), 1e3 * 24 * 4 * rows / bandwidth, 0.01);
  EXPECT_LT(fused.step.step, apart.step.step);
}

TEST(GpuModel, BiasesAreSummedApartWhereKernelsDoSo) {
  const Trained gpt = Gpt2(true);
  GpuKernels kernels = OurKernels();
  const double apart = Milliseconds(Estimate(gpt, kernels), {"linear_weight_grad"});
  kernels.sums_biases_apart = false;
  const double beside = Milliseconds(Estimate(gpt, kernels), {"linear_weight_grad"});
  // Of each of 12 layers the two products with 768 columns of dy: as whole sums; in 7 and 3 parts, which are written
  // and read and take a launch, with the sums over dy behind, which take two.
  const GpuFigures& gpu = *FindGpu("h200");
  const double tokens = 64 * 1024, small = 2 * tokens * 768 * 768 / gpu.product_flops, part = 4.0 * 768 * 768;
  const double dy = 2 * tokens * 768 / gpu.bytes_per_s + 2 * gpu.launch_seconds;
  const auto moved = [&](double bytes) { return 2 * bytes / gpu.bytes_per_s + gpu.launch_seconds; };
  const double gained = small * 132 / (0.85 * 72) - (small * 264 / 252 + moved(7 * part) + dy) +
                        4 * small * 396 / (0.85 * 288) - (4 * small * 528 / 432 + moved(3 * 4 * part) + dy);
  EXPECT_NEAR(beside - apart, 1e3 * 12 * gained, 0.05);
}

TEST(GpuModel, ActivationsThatAreLookedUpTakeTheTimeOfTheirBytes) {
  const Trained gpt = Gpt2(true);
  GpuKernels kernels = OurKernels();
  const GpuFigures& gpu = *FindGpu("h200");
  const double elements = 12.0 * 64 * 1024 * 3072;
  EXPECT_NEAR(Milliseconds(Estimate(gpt, kernels), {"activation"}), 1e3 * elements * 4 / gpu.bytes_per_s, 1e-6);
  EXPECT_NEAR(Milliseconds(Estimate(gpt, kernels), {"activation_grad"}), 1e3 * elements * 6 / gpu.bytes_per_s, 1e-6);
  // Fewer than are worth a table, or none.
  kernels.fewest_tabulated = elements;
  const double worked_out = Milliseconds(Estimate(gpt, kernels), {"activation"});
  EXPECT_GT(worked_out, 1e3 * elements * 50 / gpu.instructions_per_s);
  kernels.tabulated.clear();
  EXPECT_EQ(Milliseconds(Estimate(gpt, kernels), {"activation"}), worked_out);
}

TEST(GpuModel, PartsAddUpAndALongerLaneTakesLonger) {
  const Trained resnet = ResNet50(true);
  const GpuEstimate estimate = Estimate(resnet, OurKernels());
  double kinds = 0;
  for (const KindTime& kind : estimate.kinds) kinds += kind.seconds;
  EXPECT_NEAR(kinds, estimate.step.step, 1e-9);
  Trained twice = ResNet50(true);
  twice.demand.steps = {{{0, 0}}};
  EXPECT_GT(Estimate(twice, OurKernels()).step.step, 1.8 * estimate.step.step);
}

TEST(GpuModel, ALaneThatGoesAheadHidesTheHost) {
  const Trained resnet = ResNet50(true);
  GpuKernels kernels = OurKernels();
  EXPECT_EQ(Estimate(resnet, kernels).step.other, 0);
  kernels.host_seconds = 1;
  const StepEstimate slow = Estimate(resnet, kernels).step;
  EXPECT_NEAR(slow.other, 1 - slow.forward - slow.backward, 1e-9);
  kernels.lane_ahead = false;
  EXPECT_EQ(Estimate(resnet, kernels).step.other, 1);
}

TEST(GpuModel, KnowsItsCardsByName) {
  ASSERT_NE(FindGpu("h200"), nullptr);
  EXPECT_EQ(FindGpu("h2000"), nullptr);
  EXPECT_NE(KnownGpus().find("h200"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::launch
