// The reference against numbers worked out by hand, where gradients can't tell: layouts, ties, borders, conventions.
#include "trainer/kernels/reference/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/philox.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

Tensor T(Shape shape, std::vector<double> data) { return {shape, std::move(data), {}, 1}; }

std::vector<Tensor> Compute(OpKind kind, const std::vector<Tensor>& inputs, graph::Attributes attributes,
                            const graph::StepBlock& step_block = {}) {
  std::vector<const Tensor*> pointers;
  for (const Tensor& input : inputs) pointers.push_back(&input);
  return RunOp({}, {kind, {}, {}, attributes, "op"}, pointers, step_block);
}

TEST(ReferenceTest, LinearMultipliesByTheTransposedWeight) {
  const Tensor y = Compute(OpKind::kLinear, {T({1, 2}, {2, -3}), T({3, 2}, {1, 0, 0, 1, 5, 7}), T({3}, {10, 20, 30})},
                           graph::LinearAttributes{})[0];
  EXPECT_THAT(y.data, ElementsAre(12, 17, 19));
  EXPECT_THAT(y.magnitude, ElementsAre(12, 23, 61));
  EXPECT_EQ(y.terms, 3);
}

TEST(ReferenceTest, ConvolutionCorrelatesWithZeroPadding) {
  // One channel, a 3x3 image of 1..9, a kernel that sees right (weight 1) and below (weight 10), as PyTorch's conv2d
  // does.
  const Tensor image = T({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  const Tensor weight = T({1, 1, 3, 3}, {0, 0, 0, 0, 0, 1, 0, 10, 0});
  const Tensor y = Compute(OpKind::kConv2d, {image, weight, {}}, graph::Conv2dAttributes{1, 1, 1, {}, {}})[0];
  EXPECT_THAT(y.data, ElementsAre(42, 53, 60, 75, 86, 90, 8, 9, 0));
}

TEST(ReferenceTest, GroupsSeeTheirOwnChannels) {
  const Tensor x = T({1, 1, 1, 4}, {1, 2, 3, 4});
  const Tensor weight = T({2, 2, 1, 1}, {1, 10, 100, 1000});
  const Tensor y = Compute(OpKind::kConv2d, {x, weight, {}}, graph::Conv2dAttributes{1, 0, 2, {}, {}})[0];
  EXPECT_THAT(y.data, ElementsAre(21, 4300));
}

TEST(ReferenceTest, MaxPoolTakesTheFirstOfEquals) {
  const auto out = Compute(OpKind::kMaxPool2d, {T({1, 2, 4, 1}, {-1, -1, 3, 4, -1, -1, 5, 5})},
                           graph::Pool2dAttributes{2, 2, 0, {}});
  EXPECT_THAT(out[0].data, ElementsAre(-1, 5));
  EXPECT_THAT(out[1].data, ElementsAre(0, 2));
}

TEST(ReferenceTest, AveragesLeavePaddingOut) {
  const Tensor y =
      Compute(OpKind::kAveragePool2d, {T({1, 2, 2, 1}, {1, 2, 3, 6})}, graph::Pool2dAttributes{2, 2, 1, {}})[0];
  EXPECT_THAT(y.data, ElementsAre(1, 2, 3, 6));
}

TEST(ReferenceTest, FlattenPutsChannelsFirst) {
  const Tensor y = Compute(OpKind::kFlatten, {T({1, 1, 3, 2}, {1, 10, 2, 20, 3, 30})}, graph::NoAttributes{})[0];
  EXPECT_THAT(y.data, ElementsAre(1, 2, 3, 10, 20, 30));
}

TEST(ReferenceTest, ConcatPutsRowsSideBySide) {
  const Tensor y = Compute(OpKind::kConcat, {T({2, 1}, {1, 2}), T({2, 2}, {10, 11, 20, 21})}, graph::NoAttributes{})[0];
  EXPECT_THAT(y.data, ElementsAre(1, 10, 11, 2, 20, 21));
  EXPECT_THAT(Compute(OpKind::kSlice, {y}, graph::SliceAttributes{1, 3})[0].data, ElementsAre(10, 11, 20, 21));
}

TEST(ReferenceTest, BatchNormGivesTheUnbiasedVarianceBesides) {
  const auto out = Compute(OpKind::kBatchNormTrain, {T({4, 1}, {1, 3, 5, 7}), T({1}, {2}), T({1}, {-0.25})},
                           graph::NormAttributes{0, graph::Activation::kRelu});
  EXPECT_THAT(out[1].data, ElementsAre(4));
  EXPECT_THAT(out[2].data, ElementsAre(DoubleNear(20.0 / 3, 1e-14)));
  const double s = 1 / std::sqrt(5.0);
  EXPECT_THAT(out[3].data, ElementsAre(DoubleNear(s, 1e-15)));
  EXPECT_THAT(out[0].data, Pointwise(DoubleNear(1e-14), {0.0, 0.0, 2 * s - 0.25, 6 * s - 0.25}));
}

TEST(ReferenceTest, CrossEntropyOfEqualLogitsIsTheLogarithmOfTheirNumber) {
  const auto out = Compute(OpKind::kSoftmaxCrossEntropy, {T({3, 4}, std::vector<double>(12, 7)), T({3}, {0, -1, 3})},
                           graph::LossAttributes{0.1f, 0});
  EXPECT_NEAR(out[0].data[0], 2 * std::log(4), 1e-12);
  EXPECT_THAT(out[1].data, Pointwise(DoubleNear(1e-14), std::vector<double>(3, 7 + std::log(4))));
}

TEST(ReferenceTest, RowsOfACrossEntropyCountByTheirWeights) {
  const Tensor logits = T({3, 2}, {0, std::log(3), 0, 0, 5, 6});  // probabilities 1/4 and 3/4, halves, others
  const Tensor labels = T({3}, {0, 1, -1}), weights = T({3}, {2, 0.25, 7});
  const auto weighted =
      Compute(OpKind::kSoftmaxCrossEntropy, {logits, labels, weights}, graph::LossAttributes{0, 0})[0].data[0];
  EXPECT_NEAR(weighted, 2 * std::log(4) + 0.25 * std::log(2), 1e-12);
  const auto mixed =
      Compute(OpKind::kSoftmaxCrossEntropy, {logits, labels, weights, T({3}, {1, 1, 1}), T({3}, {0.5, 0, 9})},
              graph::LossAttributes{0, 0})[0]
          .data[0];
  EXPECT_NEAR(mixed, weighted + 0.5 * std::log(4.0 / 3), 1e-12);
}

TEST(ReferenceTest, CountsRowsWhoseFirstLargestLogitIsTheLabels) {
  const auto out = Compute(OpKind::kSoftmaxCrossEntropy, {T({4, 2}, {1, 1, 1, 1, 0, 2, 5, 3}), T({4}, {0, 1, 1, -1})},
                           graph::LossAttributes{0, 0});
  EXPECT_THAT(out[2].data, ElementsAre(2));
}

TEST(ReferenceTest, DropoutFollowsTheSampleNotTheRow) {
  const graph::DropoutAttributes attributes{0.5f, 9};
  const Tensor ones = T({2, 100}, std::vector<double>(200, 1));
  const Tensor at_7 = Compute(OpKind::kDropout, {ones, {}}, attributes, {.seed = 1, .step = 2, .first_sample = 7})[0];
  const Tensor at_8 = Compute(OpKind::kDropout, {ones, {}}, attributes, {.seed = 1, .step = 2, .first_sample = 8})[0];
  const auto row = [](const Tensor& y, int r) {
    return std::vector<double>(y.data.begin() + 100 * r, y.data.begin() + 100 * (r + 1));
  };
  EXPECT_EQ(row(at_7, 1), row(at_8, 0));
  EXPECT_NE(row(at_7, 0), row(at_8, 0));
  const RandomStream stream{1, 2, 9, 8};
  for (uint32_t e = 0; e < 100; ++e) EXPECT_EQ(at_8.data[e], stream.Uniform(e) >= 0.5f ? 2 : 0);
}

TEST(ReferenceTest, EmbeddingsAreScaledAndKnowTheirPlace) {
  const Tensor id = T({2, 2}, {1, -1, 0, 1}), table = T({2, 2}, {1, 2, 10, 20}),
               position = T({3, 2}, {100, 200, 300, 400, 7, 7});
  const graph::EmbeddingAttributes attributes{.scale = 3, .table = {2, 2}, .position = {3, 2}};
  EXPECT_THAT(Compute(OpKind::kEmbedding, {id, table, position}, attributes)[0].data,
              ElementsAre(130, 260, 300, 400, 103, 206, 330, 460));
  const auto gradients = Compute(OpKind::kEmbeddingGrad, {T({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}), id}, attributes);
  EXPECT_THAT(gradients[0].data, ElementsAre(15, 18, 24, 30));
  EXPECT_THAT(gradients[1].data, ElementsAre(6, 8, 10, 12, 0, 0));
}

TEST(ReferenceTest, SinusoidsAlternateSineAndCosine) {
  const Tensor y = Compute(OpKind::kEmbedding, {T({2}, {-1, -1}), T({1, 4}, {1, 1, 1, 1})},
                           graph::EmbeddingAttributes{.sinusoids = true, .table = {}, .position = {}})[0];
  EXPECT_THAT(y.data, Pointwise(DoubleNear(1e-14),
                                {0.0, 1.0, 0.0, 1.0, std::sin(1), std::cos(1), std::sin(0.01), std::cos(0.01)}));
}

TEST(ReferenceTest, RotaryTurnsDimensionsHalfAHeadApart) {
  const double s = std::sin(1), c = std::cos(1);
  const Tensor y = Compute(OpKind::kRotary, {T({2, 3}, {1, 2, 3, 1, 2, 3})}, graph::RotaryAttributes{1, 2})[0];
  EXPECT_THAT(y.data, Pointwise(DoubleNear(1e-14), {1.0, 2.0, 3.0, c - 2 * s, 2 * c + s, 3.0}));
}

// Equal keys share their queries' attention equally, whatever the queries are.
TEST(ReferenceTest, AttentionToEqualKeysIsTheMeanOfWhatIsSeen) {
  // Two heads of one dimension read one head of keys and values: [q q k v].
  const Tensor x = T({2, 3, 4}, {5, 7, 1, 3, 5, 7, 1, 6, 5, 7, 1, 12, 5, 7, 1, 3, 5, 7, 1, 6, 5, 7, 1, 12});
  const auto all = Compute(OpKind::kAttention, {x, {}, T({2}, {3, 2})}, graph::AttentionAttributes{2, 1, true});
  EXPECT_THAT(all[0].data, Pointwise(DoubleNear(1e-14), {3.0, 3.0, 4.5, 4.5, 7.0, 7.0, 3.0, 3.0, 4.5, 4.5, 4.5, 4.5}));
  const double log2 = std::log(2), log3 = std::log(3);
  EXPECT_THAT(all[1].data, Pointwise(DoubleNear(1e-14), {5.0, 5 + log2, 5 + log3, 7.0, 7 + log2, 7 + log3, 5.0,
                                                         5 + log2, 5 + log2, 7.0, 7 + log2, 7 + log2}));
  const auto none = Compute(OpKind::kAttention, {x, {}, T({2}, {0, 0})}, graph::AttentionAttributes{2, 1, false});
  EXPECT_THAT(none[0].data, testing::Each(0));
}

// Windows of 2 places of 2 channels, and PyTorch's conv1d from them: weight [out, in, kernel] = [[[1, 10], [100,
// 1000]]].
TEST(ReferenceTest, WindowsHaveAChannelsTapsSideBySide) {
  const Tensor x = T({1, 3, 2}, {1, 2, 3, 4, 5, 6});
  const auto y = Compute(OpKind::kWindows, {x}, graph::WindowsAttributes{2, 2, 1, {}});
  EXPECT_THAT(y[0].data, ElementsAre(0, 1, 0, 2, 3, 5, 4, 6));
  const Tensor z = Compute(OpKind::kLinear, {y[0], T({1, 4}, {1, 10, 100, 1000})}, graph::LinearAttributes{})[0];
  EXPECT_THAT(z.data, ElementsAre(2010, 6453));
  const auto dx = Compute(OpKind::kWindowsGrad, {T({1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})},
                          graph::WindowsAttributes{2, 2, 1, {1, 3, 2}});
  EXPECT_THAT(dx[0].data, ElementsAre(2, 4, 5, 7, 6, 8));
}

TEST(ReferenceTest, ArgMaxIsTheFirstOfTheLargest) {
  EXPECT_THAT(Compute(OpKind::kArgMax, {T({2, 3}, {1, 5, 5, -1, -2, -1})}, graph::NoAttributes{})[0].data,
              ElementsAre(1, 0));
}

TEST(ReferenceTest, AttentionDividesScoresByTheRootOfTheHeadSize) {
  const double high = std::exp(2 / std::sqrt(2)), weight = high / (high + 1);
  const Tensor y = Compute(OpKind::kAttention, {T({1, 1, 2}, {1, 1}), T({1, 2, 4}, {1, 1, 8, 0, 0, 0, 0, 8}), {}},
                           graph::AttentionAttributes{})[0];
  EXPECT_THAT(y.data, Pointwise(DoubleNear(1e-14), {8 * weight, 8 * (1 - weight)}));
}

TEST(ReferenceTest, RmsNormDividesByTheRootOfTheMeanSquare) {
  const auto out = Compute(OpKind::kRmsNorm, {T({1, 2}, {1, 7}), T({2}, {10, 1})}, graph::NormAttributes{0});
  EXPECT_THAT(out[0].data, Pointwise(DoubleNear(1e-14), {2.0, 1.4}));
  EXPECT_THAT(out[1].data, Pointwise(DoubleNear(1e-15), {0.2}));
}

TEST(ReferenceTest, SwiGluGatesWithTheFirstHalf) {
  const Tensor y = Compute(OpKind::kSwiGlu, {T({1, 4}, {0, 1, 5, 10})}, graph::NoAttributes{})[0];
  EXPECT_THAT(y.data, Pointwise(DoubleNear(1e-14), {0.0, 10 / (1 + std::exp(-1))}));
}

// What PyTorch's gelu(approximate="tanh") gives in double precision.
TEST(ReferenceTest, GeluByTanhIsPyTorchs) {
  const Tensor y =
      Compute(OpKind::kActivation, {T({3}, {1, -1, 3})}, graph::ActivationAttributes{graph::Activation::kGeluTanh})[0];
  EXPECT_THAT(y.data, Pointwise(DoubleNear(1e-14), {0.84119199060827676, -0.15880800939172324, 2.9963626079182268}));
}

// Values from the tables of Abramowitz and Stegun: erf(1 / sqrt 2) = 0.682689492137.
TEST(ReferenceTest, GeluIsTheErfForm) {
  const Tensor y =
      Compute(OpKind::kActivation, {T({2}, {1, -1})}, graph::ActivationAttributes{graph::Activation::kGelu})[0];
  EXPECT_THAT(y.data, Pointwise(DoubleNear(1e-11), {0.841344746068543, -0.158655253931457}));
}

}  // namespace
}  // namespace lockstep::reference
