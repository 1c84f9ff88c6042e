// Training with rows of logits that begin at multiples of 16 bytes, beside rows that follow each other: the same, but
// for the order of sums within a row, which goes by where its packs lie. What lies between rows is no number, and never
// read. And training on images with zeros behind their channels, beside images without: the same bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "tests/trainer/engine/fake_backend.h"
#include "tests/trainer/engine/forwarding_backend.h"
#include "tests/trainer/kernels/cuda/emulated_backend.h"
#include "trainer/engine/compile.h"
#include "trainer/engine/program.h"
#include "trainer/graph/builder.h"

namespace lockstep::cuda {
namespace {

using graph::ValueId;

constexpr int64_t kRows = 5, kWidth = 24, kClasses = 301;

/// Wants rows wherever they are.
class UnpaddedBackend final : public engine::ForwardingBackend {
 public:
  int64_t RowAlignment() const override { return 0; }

 private:
  engine::Backend& inner() const override { return *inner_; }

  std::unique_ptr<engine::Backend> inner_ = MakeEmulatedBackend();
};

struct Trained {
  double loss = 0;
  int64_t correct = 0;
  int padded = 0;                ///< values
  std::vector<float> gradients;  ///< the arena
};

/// A step of `model` on what `fill` puts into its inputs, from memory full of not-a-number.
Trained Train(engine::Backend& backend, const graph::Graph& model, DType type,
              const std::optional<passes::ByteInput>& bytes, const std::function<void(engine::Program&)>& fill) {
  const engine::ParameterLayout layout(model);
  const auto plan = std::make_shared<engine::ProgramPlan>(engine::Compile(
      model, layout, backend,
      {.mode = graph::Mode::kTrain, .activations = type, .buckets = {{0, layout.elements()}}, .bytes = bytes}));
  engine::Memory memory(*plan, layout);
  std::memset(memory.arena.data(), 0xFF, static_cast<size_t>(plan->memory.bytes));
  const std::span<float> weights = memory.parameters.As<float>();
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = 0.01f * static_cast<float>(i * 7919 % 101) - 0.5f;
  engine::PackedWeights packed(*plan, layout, backend, weights.data());
  engine::Program program(plan, layout, backend, memory.Bind(&packed));
  fill(program);
  packed.Pack();
  program.step_block().loss_scale[0] = 0.25f;
  program.Run(nullptr);
  Trained trained;
  trained.loss = program.loss(0);
  trained.correct = program.counter(0);
  for (const graph::Value& value : plan->graph.values) trained.padded += value.pitch > 0 ? 1 : 0;
  const std::span<const float> gradients = memory.gradients.As<float>();
  for (const engine::ArenaEntry& entry : layout.entries())
    trained.gradients.insert(trained.gradients.end(), gradients.begin() + entry.offset,
                             gradients.begin() + entry.offset + entry.size());
  return trained;
}

void FillLabels(engine::Program& program, int step) {
  auto* const labels = reinterpret_cast<int32_t*>(program.input("label").data());
  for (int row = 0; row < kRows; ++row) labels[row] = row == 2 ? -1 : row * step;
}

/// Of a classifier with one layer before its head.
Trained TrainClassifier(engine::Backend& backend, DType type) {
  graph::Builder b(graph::Mode::kTrain, kRows);
  const ValueId hidden = b.Linear(b.Input("features", {kWidth}, DType::kF32), "fc", kWidth, true, {});
  b.SoftmaxCrossEntropy(b.Linear(hidden, "head", kClasses, false, {}), 0.1f);
  return Train(backend, b.Finish(), type, std::nullopt, [](engine::Program& program) {
    auto* const features = reinterpret_cast<float*>(program.input("features").data());
    for (int64_t i = 0; i < kRows * kWidth; ++i) features[i] = 0.02f * static_cast<float>(i * 31 % 97) - 1;
    FillLabels(program, 75);
  });
}

/// Of a network that convolves images of bytes.
Trained TrainOnBytes(engine::Backend& backend, int64_t channels) {
  constexpr int kSide = 9;
  graph::Builder b(graph::Mode::kTrain, kRows);
  const ValueId image = b.Input("image", {kSide, kSide, channels}, DType::kF32);
  const ValueId x = b.Activate(b.Conv2d(image, "conv", {6, 5, 2, 2, 1, true, {0, 1}}), graph::Activation::kRelu);
  b.SoftmaxCrossEntropy(b.Linear(b.Flatten(x), "head", 7, true, {}), 0);
  passes::ByteInput bytes{"image", "inside", {.scale = 1 / 255.0f}};
  bytes.attributes.mean.fill(0.4f);
  bytes.attributes.deviation.fill(0.3f);
  return Train(backend, b.Finish(), DType::kBF16, bytes, [&](engine::Program& program) {
    const auto pixels = program.input("image");
    for (int64_t i = 0; i < kRows * kSide * kSide * channels; ++i)
      pixels[static_cast<size_t>(i)] = static_cast<std::byte>(i * 37 % 251);
    auto* const inside = reinterpret_cast<int32_t*>(program.input("inside").data());
    for (int row = 0; row < kRows; ++row)
      std::ranges::copy(std::array<int32_t, 4>{row, 0, kSide, kSide - row}, inside + 4 * row);
    FillLabels(program, 1);
  });
}

class PaddedRows : public testing::TestWithParam<DType> {};

TEST_P(PaddedRows, TrainAsRowsThatFollowEachOther) {
  const auto padding = MakeEmulatedBackend();
  UnpaddedBackend plain;
  const Trained padded = TrainClassifier(*padding, GetParam()), unpadded = TrainClassifier(plain, GetParam());
  EXPECT_EQ(padded.padded, 2) << "logits and their gradient";
  EXPECT_EQ(unpadded.padded, 0);
  // A thread's packs of a row begin elsewhere, so that sums within a row have another order.
  EXPECT_NEAR(padded.loss, unpadded.loss, 1e-6 * std::abs(unpadded.loss));
  EXPECT_EQ(padded.correct, unpadded.correct);
  ASSERT_EQ(padded.gradients.size(), unpadded.gradients.size());
  for (size_t i = 0; i < padded.gradients.size(); ++i) {
    ASSERT_EQ(padded.gradients[i], padded.gradients[i]) << i << " is no number";
    const float bound = GetParam() == DType::kBF16 ? 1e-2f : 1e-5f;
    ASSERT_NEAR(padded.gradients[i], unpadded.gradients[i], bound * (1e-3f + std::abs(unpadded.gradients[i]))) << i;
  }
}

TEST(PaddedImages, TrainWithTheBitsOfImagesWithoutZerosBehindTheirChannels) {
  for (const int64_t channels : {1, 3, 11}) {
    const auto padding = MakeEmulatedBackend();
    UnpaddedBackend plain;
    const Trained padded = TrainOnBytes(*padding, channels), unpadded = TrainOnBytes(plain, channels);
    EXPECT_EQ(padded.padded, 1) << "the image";
    EXPECT_EQ(unpadded.padded, 0);
    EXPECT_GT(padded.loss, 0);
    EXPECT_EQ(padded.loss, unpadded.loss);
    EXPECT_EQ(padded.gradients, unpadded.gradients);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PaddedRows, testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& info) { return info.param == DType::kBF16 ? "bf16" : "f32"; });

}  // namespace
}  // namespace lockstep::cuda
