// Connectionist temporal classification on every backend, against all alignments written out, against a formula for
// equal logits, and a padded batch against its samples alone.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/philox.h"
#include "base/threads.h"
#include "tests/trainer/kernels/backends.h"
#include "tests/trainer/kernels/op_values.h"

namespace lockstep::conformance {
namespace {

using graph::OpKind;

constexpr double kTolerance = 1e-6;
constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

std::vector<double> RandomLogits(int64_t size, uint32_t stream) {
  const RandomStream random{17, 0, stream, 0};
  std::vector<double> values;
  for (uint32_t i = 0; i < static_cast<uint32_t>(size); ++i) {
    values.push_back(static_cast<double>(4 * random.Uniform(i) - 2));
  }
  return values;
}

struct Batch {
  int64_t rows, places, classes, labels;
  std::vector<double> logits, label, lengths, label_lengths;
};
struct CtcResult {
  double loss;
  std::vector<double> dlogits;
  double impossible;
};

class CtcTest : public testing::TestWithParam<size_t> {
 protected:
  CtcTest() { PrepareComputeThread(Backends()[GetParam()].threads, "ctc"); }

  CtcResult Run(const Batch& b) {
    const auto results = RunOn(*backend_, OpKind::kCtc,
                               {Floats({b.rows, b.places, b.classes}, b.logits), Integers({b.rows, b.labels}, b.label),
                                Integers({b.rows}, b.lengths), Integers({b.rows}, b.label_lengths)},
                               graph::CtcAttributes{});
    return {results[0].data[0], results[1].data, results[2].data[0]};
  }

  const std::unique_ptr<engine::Backend> backend_ = Backends()[GetParam()].make();
};

/// -log p of the label and its gradient, from every path of classes through the places.
CtcResult FromAllPaths(const Batch& b) {
  std::vector<double> softmax;
  for (int64_t t = 0; t < b.places; ++t) {
    double sum = 0;
    for (int64_t j = 0; j < b.classes; ++j) sum += std::exp(b.logits[static_cast<size_t>(t * b.classes + j)]);
    for (int64_t j = 0; j < b.classes; ++j) {
      softmax.push_back(std::exp(b.logits[static_cast<size_t>(t * b.classes + j)]) / sum);
    }
  }
  double all = 0;
  std::vector<double> shares(softmax.size());
  const auto paths = static_cast<int64_t>(std::pow(b.classes, b.places) + 0.5);
  for (int64_t path = 0; path < paths; ++path) {
    std::vector<double> label;
    std::vector<size_t> cells;
    double probability = 1, before = 0;
    for (int64_t t = 0, rest = path; t < b.places; ++t, rest /= b.classes) {
      const auto c = static_cast<double>(rest % b.classes);
      if (c != 0 && c != before) label.push_back(c);
      before = c;
      cells.push_back(static_cast<size_t>(t * b.classes + rest % b.classes));
      probability *= softmax[cells.back()];
    }
    if (label != std::vector<double>(b.label.begin(), b.label.begin() + static_cast<int64_t>(b.label_lengths[0]))) {
      continue;
    }
    all += probability;
    for (const size_t cell : cells) shares[cell] += probability;
  }
  if (all == 0) return {0, std::vector<double>(softmax.size()), 1};
  CtcResult result{-std::log(all), {}, 0};
  for (size_t i = 0; i < softmax.size(); ++i) result.dlogits.push_back(softmax[i] - shares[i] / all);
  return result;
}

TEST_P(CtcTest, IsTheSumOverAllAlignments) {
  const std::vector<std::vector<double>> labels = {{},        {1},       {2},       {1, 2},    {1, 1},
                                                   {3, 1, 3}, {2, 2, 2}, {1, 1, 2}, {3, 2, 1}, {2, 1, 1, 2}};
  int impossible = 0;
  for (int64_t places = 1; places <= 6; ++places) {
    for (size_t i = 0; i < labels.size(); ++i) {
      std::vector<double> padded = labels[i];
      padded.resize(4, 77);
      const Batch batch{1,
                        places,
                        4,
                        4,
                        RandomLogits(places * 4, static_cast<uint32_t>(places * 100 + static_cast<int64_t>(i))),
                        padded,
                        {static_cast<double>(places)},
                        {static_cast<double>(labels[i].size())}};
      const CtcResult expected = FromAllPaths(batch), result = Run(batch);
      EXPECT_NEAR(result.loss, expected.loss, kTolerance) << places << " places, label " << i;
      EXPECT_EQ(result.impossible, expected.impossible) << places << " places, label " << i;
      impossible += result.impossible == 1;
      for (size_t j = 0; j < expected.dlogits.size(); ++j) {
        ASSERT_NEAR(result.dlogits[j], expected.dlogits[j], kTolerance) << places << " places, label " << i;
      }
    }
  }
  EXPECT_EQ(impossible, 18) << "the least places of each label, less one, together";
}

// With equal logits every path has the same probability: there are C(t + u, 2 u) for a label without repetitions.
TEST_P(CtcTest, CountsThePathsOfLongSequences) {
  const double places = 2000, classes = 4, labels = 60;
  Batch batch{1, 2000, 4, 60, std::vector<double>(8000, 0.25), {}, {places}, {labels}};
  for (int i = 0; i < 60; ++i) batch.label.push_back(1 + i % 3);
  const double paths =
      std::lgamma(places + labels + 1) - std::lgamma(2 * labels + 1) - std::lgamma(places - labels + 1);
  const CtcResult result = Run(batch);
  const double expected = places * std::log(classes) - paths;
  EXPECT_NEAR(result.loss, expected, 5e-6 * expected) << "a rounding at each of 2,000 places";
  double sum = 0;
  for (const double d : result.dlogits) sum += d;
  EXPECT_NEAR(sum, 0, 1e-3);
}

TEST_P(CtcTest, APaddedBatchGivesWhatItsSamplesGiveAlone) {
  const Batch batch{6,
                    20,
                    7,
                    5,
                    RandomLogits(6 * 20 * 7, 1),
                    {1, 2, 2, 3, 6, 5, 4, 9, 9, 9, 3, 3, 3, 3, 3, 1, -1, -1, 0, 8, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1},
                    {20, 11, 9, 5, 4, 20},
                    {5, 2, 5, 1, 5, -1}};
  const CtcResult all = Run(batch);
  double loss = 0, impossible = 0;
  for (int64_t row = 0; row < 5; ++row) {
    const auto length = static_cast<int64_t>(batch.lengths[static_cast<size_t>(row)]);
    const auto part = [&](const std::vector<double>& values, int64_t begin, int64_t count) {
      return std::vector<double>(values.begin() + begin, values.begin() + begin + count);
    };
    const CtcResult alone = Run({1,
                                 length,
                                 7,
                                 5,
                                 part(batch.logits, row * 140, length * 7),
                                 part(batch.label, row * 5, 5),
                                 {static_cast<double>(length)},
                                 part(batch.label_lengths, row, 1)});
    loss += alone.loss;
    impossible += alone.impossible;
    for (int64_t i = 0; i < 140; ++i) {
      const double expected = i < length * 7 ? alone.dlogits[static_cast<size_t>(i)] : 0;
      ASSERT_NEAR(all.dlogits[static_cast<size_t>(row * 140 + i)], expected, kTolerance) << "row " << row;
    }
  }
  EXPECT_NEAR(all.loss, loss, kTolerance);
  EXPECT_EQ(all.impossible, impossible);
  EXPECT_EQ(impossible, 1) << "five labels in four places; three alike and two blanks fit into five";
  for (size_t i = 5 * 140; i < 6 * 140; ++i) EXPECT_EQ(all.dlogits[i], 0) << "padding";
}

TEST_P(CtcTest, ImpossibleSamplesAddNothingAndAreCounted) {
  // As many labels as places, with a repetition; more labels than there is room for; no places.
  const Batch batch{
      4, 3, 5, 3, RandomLogits(4 * 3 * 5, 2), {1, 1, 2, 1, 2, 3, 4, 4, 4, 1, 2, 3}, {3, 3, 0, 3}, {3, 4, 1, 3}};
  const CtcResult result = Run(batch);
  EXPECT_EQ(result.impossible, 3);
  const CtcResult possible = Run({1, 3, 5, 3, {batch.logits.begin() + 45, batch.logits.end()}, {1, 2, 3}, {3}, {3}});
  EXPECT_NEAR(result.loss, possible.loss, kTolerance);
  for (size_t i = 0; i < 45; ++i) EXPECT_EQ(result.dlogits[i], 0);
  for (size_t i = 0; i < 15; ++i) EXPECT_EQ(result.dlogits[45 + i], possible.dlogits[i]);
}

TEST_P(CtcTest, WhatLiesBehindALengthIsNotRead) {
  Batch batch{2, 8, 4, 3, RandomLogits(2 * 8 * 4, 3), {1, 2, 0, 3, 3, 2}, {8, 5}, {2, 3}};
  const CtcResult before = Run(batch);
  std::fill(batch.logits.begin() + 52, batch.logits.end(), kNotANumber);
  batch.label[2] = 1000000;
  const CtcResult after = Run(batch);
  EXPECT_EQ(after.loss, before.loss);
  EXPECT_EQ(after.dlogits, before.dlogits);
}

TEST_P(CtcTest, NotANumberShowsInLossAndGradient) {
  Batch batch{2, 6, 4, 2, RandomLogits(2 * 6 * 4, 4), {1, 2, 3, 1}, {6, 6}, {2, 2}};
  batch.logits[9] = kNotANumber;  // of a class that the label lacks
  if (Backends()[GetParam()].name == "reference") GTEST_SKIP() << "for training alone";
  const CtcResult result = Run(batch);
  EXPECT_TRUE(std::isnan(result.loss));
  EXPECT_TRUE(std::isnan(result.dlogits[0]));
  EXPECT_FALSE(std::isnan(result.dlogits[24])) << "the other sample";
}

TEST_P(CtcTest, LogitsFarFromZeroAreAsGood) {
  Batch batch{1, 6, 4, 2, RandomLogits(6 * 4, 5), {1, 2}, {6}, {2}};
  for (double& logit : batch.logits) logit = std::round(logit * 64) / 64;  // exact with the offset too
  const CtcResult near = Run(batch);
  for (double& logit : batch.logits) logit += 4096;
  const CtcResult far = Run(batch);
  EXPECT_NEAR(far.loss, near.loss, 1e-5);
  for (size_t i = 0; i < near.dlogits.size(); ++i) EXPECT_NEAR(far.dlogits[i], near.dlogits[i], 1e-5);
}

std::vector<size_t> FloatBackends() {
  std::vector<size_t> indices;
  for (size_t i = 0; i < Backends().size(); ++i) {
    if (Backends()[i].activations == DType::kF32) indices.push_back(i);
  }
  return indices;
}

INSTANTIATE_TEST_SUITE_P(Backends, CtcTest, testing::ValuesIn(FloatBackends()),
                         [](const auto& info) { return Backends()[info.param].name; });

}  // namespace
}  // namespace lockstep::conformance
