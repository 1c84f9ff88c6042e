#include "launch/project/bucket_times.h"

#include <gtest/gtest.h>

#include "tests/trainer/engine/fake_backend.h"
#include "trainer/engine/compile.h"
#include "trainer/graph/builder.h"

namespace lockstep::launch {
namespace {

constexpr int64_t kWidth = 64;
constexpr double kRows = 4;

/// Two layers without biases, a bucket each, of which the last one comes first.
engine::ProgramPlan TwoLayers() {
  graph::Builder b(graph::Mode::kTrain, static_cast<int64_t>(kRows));
  graph::ValueId x = b.Linear(b.Input("features", {kWidth}, DType::kF32), "fc1", kWidth, false, {});
  x = b.Linear(x, "fc2", kWidth, false, {});
  b.SoftmaxCrossEntropy(x, 0);
  const graph::Graph model = b.Finish();
  const engine::ParameterLayout layout(model);
  engine::FakeBackend backend;
  return engine::Compile(
      model, layout, backend,
      {.mode = graph::Mode::kTrain, .buckets = {{0, kWidth * kWidth}, {kWidth * kWidth, 2 * kWidth * kWidth}}});
}

TEST(BucketTimes, AGradientIsReadyBehindTheOpThatWritesIt) {
  // Where arithmetic is all that counts: of three products (both weights, and the gradient between the layers) the
  // first bucket needs one or two, as the compiler orders them, and the second one all.
  const std::vector<double> shares = ReadyShares(TwoLayers(), 2, 1e-6);
  EXPECT_GT(shares[0], 0.3);
  EXPECT_LT(shares[0], 0.7);
  EXPECT_NEAR(shares[1], 1, 1e-6);
}

TEST(BucketTimes, WhereBytesCountMoreOpsWithoutArithmeticTakeTime) {
  EXPECT_GT(ReadyShares(TwoLayers(), 2, 1e6)[0], ReadyShares(TwoLayers(), 2, 1e-6)[0]);
}

}  // namespace
}  // namespace lockstep::launch
