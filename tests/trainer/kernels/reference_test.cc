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
  const Tensor y =
      Compute(OpKind::kConcat, {T({2, 1}, {1, 2}), T({2, 2}, {10, 11, 20, 21})}, graph::ConcatAttributes{})[0];
  EXPECT_THAT(y.data, ElementsAre(1, 10, 11, 2, 20, 21));
  EXPECT_THAT(Compute(OpKind::kSlice, {y}, graph::SliceAttributes{1, 3})[0].data, ElementsAre(10, 11, 20, 21));
}

TEST(ReferenceTest, ResizingTakesTheCellBefore) {
  const Tensor x = T({1, 2, 3, 1}, {1, 2, 3, 4, 5, 6});
  const graph::ResizeAttributes larger{3, 5, {1, 2, 3, 1}}, smaller{1, 2, {1, 2, 3, 1}};
  const Tensor y = Compute(OpKind::kResizeNearest, {x}, larger)[0];
  EXPECT_THAT(y.data, ElementsAre(1, 1, 2, 2, 3, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6));
  EXPECT_THAT(Compute(OpKind::kResizeNearest, {x}, smaller)[0].data, ElementsAre(1, 2));
  const Tensor ones = T({1, 3, 5, 1}, std::vector<double>(15, 1));
  EXPECT_THAT(Compute(OpKind::kResizeNearestGrad, {ones}, larger)[0].data, ElementsAre(4, 4, 2, 2, 2, 1));
  EXPECT_THAT(Compute(OpKind::kResizeNearestGrad, {T({1, 1, 2, 1}, {7, 8})}, smaller)[0].data,
              ElementsAre(7, 8, 0, 0, 0, 0));
}

// Numbers of PyTorch's interpolate(mode="bilinear") and its gradient.
TEST(ReferenceTest, BilinearResizingIsPyTorchs) {
  const Tensor x = T({1, 2, 3, 1}, {1, 2, 4, 8, 16, 32});
  const graph::ResizeAttributes halves{3, 4, {1, 2, 3, 1}, false}, corners{3, 4, {1, 2, 3, 1}, true};
  const Tensor dy = T({1, 3, 4, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  EXPECT_THAT(Compute(OpKind::kResizeLinear, {x}, halves)[0].data,
              ElementsAre(1, 1.625, 2.75, 4, 4.5, 7.3125, 12.375, 18, 8, 13, 22, 32));
  EXPECT_THAT(Compute(OpKind::kResizeLinearGrad, {dy}, halves)[0].data,
              ElementsAre(5.375, 7.1875, 10.4375, 16.375, 17.1875, 21.4375));
  const auto third = [](double thirds) { return DoubleNear(thirds / 3, 1e-12); };
  EXPECT_THAT(Compute(OpKind::kResizeLinear, {x}, corners)[0].data,
              ElementsAre(third(3), third(5), third(8), third(12), third(13.5), third(22.5), third(36), third(54),
                          third(24), third(40), third(64), third(96)));
  EXPECT_THAT(Compute(OpKind::kResizeLinearGrad, {dy}, corners)[0].data,
              ElementsAre(third(15.5), third(23), third(30.5), third(47.5), third(55), third(62.5)));
}

// Numbers of PyTorch's conv_transpose2d with an output padding of (1, 0).
TEST(ReferenceTest, TransposedConvolutionIsPyTorchs) {
  const graph::Conv2dAttributes attributes{.stride = {2, 1}, .padding = {0, 1}, .result = {1, 5, 2, 1}};
  const Tensor y = Compute(OpKind::kConv2dInputGrad,
                           {T({1, 2, 3, 1}, {1, 2, 3, 4, 5, 6}), T({1, 1, 2, 2}, {1, 10, 100, 1000})}, attributes)[0];
  EXPECT_THAT(y.data, ElementsAre(12, 23, 1200, 2300, 45, 56, 4500, 5600, 0, 0));
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

TEST(ReferenceTest, GroupNormTakesNeighbouringChannelsTogether) {
  // Two cells of four channels: the groups hold 1, 3, 5, 7 and 10, 10, 10, 14.
  const Tensor x = T({1, 2, 1, 4}, {1, 3, 10, 10, 5, 7, 10, 14}), weight = T({4}, {1, 1, 2, 1}),
               bias = T({4}, {0, 1, 0, 0});
  const auto out = Compute(OpKind::kGroupNorm, {x, weight, bias}, graph::GroupNormAttributes{2, 0});
  const double a = 1 / std::sqrt(5.0), b = 1 / std::sqrt(3.0);  // the biased variances are 5 and 3
  EXPECT_EQ(out[1].shape, (Shape{1, 2}));
  EXPECT_THAT(out[1].data, ElementsAre(4, 11));
  EXPECT_THAT(out[2].data, Pointwise(DoubleNear(1e-15), {a, b}));
  EXPECT_THAT(out[0].data, Pointwise(DoubleNear(1e-14), {-3 * a, 1 - a, -2 * b, -b, a, 1 + 3 * a, -2 * b, 3 * b}));
}

TEST(ReferenceTest, FrozenBatchNormScalesGradients) {
  const Tensor dx =
      Compute(OpKind::kBatchNormInferGrad, {T({2, 2}, {1, 2, -3, 4}), T({2}, {3, -1}), T({2}, {1.25, 15.75})},
              graph::NormAttributes{0.25f, graph::Activation::kNone})[0];
  EXPECT_THAT(dx.data, Pointwise(DoubleNear(1e-14), {3 / std::sqrt(1.5), -0.5, -9 / std::sqrt(1.5), -1.0}));
}

TEST(ReferenceTest, SigmoidCrossEntropyIsThatOfTwoClasses) {
  // Probabilities 1/2, 3/4, and one that is 1 to every digit.
  const Tensor logits = T({1, 3}, {0, std::log(3), 1000}), target = T({1, 3}, {0.25, 1, 0});
  const Tensor weight = T({1, 3}, {2, 1, 0.5});
  const auto loss = Compute(OpKind::kSigmoidCrossEntropy, {logits, target, weight}, graph::LossAttributes{});
  EXPECT_NEAR(loss[0].data[0], 2 * std::log(2) - std::log(0.75) + 500, 1e-12);
  const auto gradient = Compute(OpKind::kSigmoidCrossEntropyGrad, {logits, target, weight, {}}, graph::LossAttributes{},
                                {.seed = 0, .step = 0, .first_sample = 0, .loss_scale = {4, 1, 1, 1}});
  EXPECT_THAT(gradient[0].data, Pointwise(DoubleNear(1e-14), {2.0, -1.0, 2.0}));
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

TEST(ReferenceTest, FocalLossReducesWhatIsNearATarget) {
  // Probabilities 1/2, 3/4 and 1/4.
  const Tensor logits = T({1, 4}, {0, 0, std::log(3), -std::log(3)}), target = T({1, 4}, {1, 0.5, 1, 0});
  const graph::FocalAttributes attributes{.positive = 2, .negative = 3};
  const double sum = -2 * (std::log(0.5) / 4 + std::log(0.75) / 16) - 3 * (std::log(0.5) / 64 + std::log(0.75) / 16);
  const auto loss = Compute(OpKind::kFocalLoss, {logits, target, T({1}, {0.5})}, attributes);
  EXPECT_NEAR(loss[0].data[0], 0.5 * sum, 1e-14);
  EXPECT_EQ(Compute(OpKind::kFocalLoss, {logits, target, T({1}, {0})}, attributes)[0].data[0], 0);
  // q^2 (2 p log p - q) and (1 - target)^4 p^2 (p - 2 q log q) times the factors, mask and the loss's scale.
  const auto gradient = Compute(OpKind::kFocalLossGrad, {logits, target, T({1}, {0.5}), {}}, attributes,
                                {.seed = 0, .step = 0, .first_sample = 0, .loss_scale = {4, 1, 1, 1}});
  EXPECT_THAT(gradient[0].data, Pointwise(DoubleNear(1e-14), {(std::log(0.5) - 0.5), 6.0 / 64 * (0.5 - std::log(0.5)),
                                                              4.0 / 16 * (1.5 * std::log(0.75) - 0.25),
                                                              6.0 / 16 * (0.25 - 1.5 * std::log(0.75))}));
}

TEST(ReferenceTest, FocalLossTakesLabels) {
  const Tensor logits = T({2, 2, 2}, {0, 1, -2, 3, 4, -5, 6, 7});
  const Tensor label = T({2, 2}, {1, -1, 0, 0}), mask = T({2}, {1, 1});
  const Tensor target = T({2, 2, 2}, {0, 1, 0, 0, 1, 0, 1, 0});
  EXPECT_EQ(Compute(OpKind::kFocalLoss, {logits, label, mask}, graph::FocalAttributes{})[0].data,
            Compute(OpKind::kFocalLoss, {logits, target, mask}, graph::FocalAttributes{})[0].data);
}

TEST(ReferenceTest, FocalLossClampsProbabilitiesAndIsExactWithout) {
  const Tensor logits = T({1, 2}, {-1000, 1000}), target = T({1, 2}, {1, 0}), mask = T({1}, {1});
  EXPECT_EQ(Compute(OpKind::kFocalLoss, {logits, target, mask}, graph::FocalAttributes{})[0].data[0], 2000);
  EXPECT_THAT(Compute(OpKind::kFocalLossGrad, {logits, target, mask, {}}, graph::FocalAttributes{})[0].data,
              ElementsAre(-1, 1));
  const graph::FocalAttributes clamped{.clamp = 0.25f};
  EXPECT_NEAR(Compute(OpKind::kFocalLoss, {logits, target, mask}, clamped)[0].data[0], -9.0 / 8 * std::log(0.25),
              1e-14);
  EXPECT_THAT(Compute(OpKind::kFocalLossGrad, {logits, target, mask, {}}, clamped)[0].data, ElementsAre(0, 0));
}

/// The loss of one cell.
double BoxLossOf(std::vector<double> sides, std::vector<double> target, const graph::BoxLossAttributes& attributes) {
  return Compute(OpKind::kBoxLoss, {T({1, 4}, std::move(sides)), T({1, 4}, std::move(target)), T({1}, {1})},
                 attributes)[0]
      .data[0];
}

TEST(ReferenceTest, BoxLossIsOneMinusGeneralisedOverlap) {
  const graph::BoxLossAttributes relu{.exponential = false}, exponential{.exponential = true, .factor = 2};
  EXPECT_DOUBLE_EQ(BoxLossOf({2, 2, 2, 2}, {1, 1, 1, 1}, relu), 0.75);                      // 4 of 16
  EXPECT_DOUBLE_EQ(BoxLossOf({1, 1, 3, 1}, {3, 1, 1, 1}, relu), 1 - 4.0 / 12);              // hull = union
  EXPECT_DOUBLE_EQ(BoxLossOf({1, 3, 1, 3}, {3, 1, 3, 1}, relu), 1 - 4.0 / 20 + 16.0 / 36);  // a cross
  EXPECT_DOUBLE_EQ(BoxLossOf({-1, -2, -3, 0}, {1, 1, 1, 1}, relu), 1);                      // empty
  EXPECT_DOUBLE_EQ(BoxLossOf({0, 0, 0, 0}, {2, 2, 2, 2}, exponential), 2 * 0.75);
  EXPECT_DOUBLE_EQ(BoxLossOf({5, 6, 7, 4}, {1, 1, 1, 1}, exponential), 2 * (1 - std::exp(-8)));
}

TEST(ReferenceTest, BoxLossLooksAtCellsWithAWeight) {
  const Tensor sides = T({1, 2, 4}, {2, 2, 2, 2, 1, 1, 1, 1}), target = T({1, 2, 4}, {1, 1, 1, 1, 0, 0, -9, 0});
  const Tensor weight = T({1, 2}, {3, 0});
  const graph::BoxLossAttributes relu{.exponential = false};
  EXPECT_DOUBLE_EQ(Compute(OpKind::kBoxLoss, {sides, target, weight}, relu)[0].data[0], 3 * 0.75);
  // By each side: (1 - shared / union)' = shared / union^2 * 4, and the hull is the union.
  EXPECT_THAT(Compute(OpKind::kBoxLossGrad, {sides, target, weight, {}}, relu)[0].data,
              ElementsAre(0.1875, 0.1875, 0.1875, 0.1875, 0, 0, 0, 0));
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
