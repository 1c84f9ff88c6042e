// What the reference's tolerances do not tell about recurrent layers, on every backend: a padded batch gives what each
// sample gives alone, the reverse direction is the forward one of the sequence turned round, and states carried from
// run to run give what one run gives.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/philox.h"
#include "base/threads.h"
#include "tests/trainer/kernels/backends.h"
#include "tests/trainer/kernels/op_values.h"

namespace lockstep::conformance {
namespace {

using graph::OpKind;
using reference::Tensor;

constexpr int64_t kHidden = 21;
constexpr double kTolerance = 1e-6;

std::vector<double> Random(int64_t size, uint32_t stream, double scale = 1) {
  const RandomStream random{11, 0, stream, 0};
  std::vector<double> values;
  for (uint32_t i = 0; i < static_cast<uint32_t>(size); ++i) {
    values.push_back(scale * static_cast<double>(static_cast<float>(2 * random.Uniform(i) - 1)));
  }
  return values;
}

/// Of each row of [rows, size / rows] the elements [begin, end).
std::vector<double> Columns(const std::vector<double>& values, int64_t rows, int64_t begin, int64_t end) {
  const int64_t columns = static_cast<int64_t>(values.size()) / rows;
  std::vector<double> part;
  for (int64_t r = 0; r < rows; ++r) {
    part.insert(part.end(), values.begin() + r * columns + begin, values.begin() + r * columns + end);
  }
  return part;
}

void ExpectNear(const std::vector<double>& values, const std::vector<double>& expected, const std::string& what) {
  ASSERT_EQ(values.size(), expected.size()) << what;
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_NEAR(values[i], expected[i], kTolerance) << what << ", element " << i;
}

/// By backend (those that are float) and kind.
class RecurrentTest : public testing::TestWithParam<std::tuple<size_t, OpKind>> {
 protected:
  RecurrentTest() { PrepareComputeThread(Backends()[std::get<0>(GetParam())].threads, "recurrent"); }

  bool lstm() const { return std::get<1>(GetParam()) == OpKind::kLstm; }
  int64_t gates() const { return lstm() ? 4 : 3; }

  struct States {
    std::vector<double> hidden, cell;
  };
  struct Sequence {
    int64_t rows, places;
    std::vector<double> gates;    ///< [rows, places, gates * hidden]
    std::vector<double> lengths;  ///< none: whole rows
    bool reverse = false;
    States start = {};
  };
  OperandValue State(int64_t rows, const std::vector<double>& values) const {
    return values.empty() ? OperandValue{} : Floats({rows, kHidden}, values);
  }
  OperandValue Length(const Sequence& s) const {
    return s.lengths.empty() ? OperandValue{} : Integers({s.rows}, s.lengths);
  }
  OperandValue Weight() const {
    return Floats({gates() * kHidden, kHidden}, Random(gates() * kHidden * kHidden, 1, 0.3), graph::Role::kParameter);
  }

  std::vector<Tensor> Forward(const Sequence& s) {
    std::vector<OperandValue> operands = {
        Floats({s.rows, s.places, gates() * kHidden}, s.gates), Weight(),
        Floats({gates() * kHidden}, Random(gates() * kHidden, 2), graph::Role::kParameter), Length(s),
        State(s.rows, s.start.hidden)};
    if (lstm()) operands.push_back(State(s.rows, s.start.cell));
    return RunOn(*backend_, std::get<1>(GetParam()), operands, graph::RecurrentAttributes{s.reverse});
  }
  std::vector<Tensor> Backward(const Sequence& s, const std::vector<double>& dy, const std::vector<Tensor>& forward) {
    std::vector<OperandValue> operands = {Floats({s.rows, s.places, kHidden}, dy),
                                          Floats(forward[0].shape, forward[0].data),
                                          Floats(forward[1].shape, forward[1].data),
                                          Weight(),
                                          Length(s),
                                          State(s.rows, s.start.hidden)};
    if (lstm()) operands.push_back(State(s.rows, s.start.cell));
    return RunOn(*backend_, lstm() ? OpKind::kLstmGrad : OpKind::kGruGrad, operands,
                 graph::RecurrentAttributes{s.reverse});
  }
  States Last(const std::vector<Tensor>& results) const {
    return {results[2].data, lstm() ? results[3].data : std::vector<double>{}};
  }

  const std::unique_ptr<engine::Backend> backend_ = Backends()[std::get<0>(GetParam())].make();
};

TEST_P(RecurrentTest, APaddedBatchGivesWhatItsSamplesGiveAlone) {
  const int64_t rows = 7, places = 9, width = gates() * kHidden;
  for (const bool reverse : {false, true}) {
    const Sequence batch{rows,
                         places,
                         Random(rows * places * width, 3),
                         {9, 4, 1, 0, 7, 9, 2},
                         reverse,
                         {Random(rows * kHidden, 4), Random(rows * kHidden, 5)}};
    const std::vector<double> dy = Random(rows * places * kHidden, 6);
    const std::vector<Tensor> all = Forward(batch), gradients = Backward(batch, dy, all);
    std::vector<double> dweight(gradients[1].data.size()), dbias(gradients[2].data.size());
    for (int64_t row = 0; row < rows; ++row) {
      const auto length = static_cast<int64_t>(batch.lengths[static_cast<size_t>(row)]);
      const auto row_of = [&](const std::vector<double>& values, int64_t count) {
        const int64_t size = static_cast<int64_t>(values.size()) / rows;
        return std::vector<double>(values.begin() + row * size, values.begin() + row * size + count);
      };
      const std::string what = fmt::format("row {}{}", row, reverse ? ", reverse" : "");
      const States start{row_of(batch.start.hidden, kHidden), row_of(batch.start.cell, kHidden)};
      if (length == 0) {
        ExpectNear(row_of(all[2].data, kHidden), start.hidden, what + ", last state");
        continue;
      }
      const Sequence alone{1, length, row_of(batch.gates, length * width), {}, reverse, start};
      const std::vector<Tensor> one = Forward(alone);
      ExpectNear(row_of(all[0].data, length * kHidden), one[0].data, what);
      ExpectNear(row_of(all[2].data, kHidden), Last(one).hidden, what + ", last state");
      if (lstm()) ExpectNear(row_of(all[3].data, kHidden), Last(one).cell, what + ", last cell");
      const std::vector<Tensor> gradient = Backward(alone, row_of(dy, length * kHidden), one);
      ExpectNear(row_of(gradients[0].data, length * width), gradient[0].data, what + ", gradient");
      for (size_t i = 0; i < dweight.size(); ++i) dweight[i] += gradient[1].data[i];
      for (size_t i = 0; i < dbias.size(); ++i) dbias[i] += gradient[2].data[i];
      const std::vector<double> y = row_of(all[0].data, places * kHidden);
      const std::vector<double> dgates = row_of(gradients[0].data, places * width);
      EXPECT_TRUE(std::all_of(y.begin() + length * kHidden, y.end(), [](double v) { return v == 0; })) << what;
      EXPECT_TRUE(std::all_of(dgates.begin() + length * width, dgates.end(), [](double v) { return v == 0; })) << what;
    }
    ExpectNear(gradients[1].data, dweight, "the weight's gradient");
    ExpectNear(gradients[2].data, dbias, "the bias's gradient");
  }
}

TEST_P(RecurrentTest, WhatLiesBehindALengthIsNotRead) {
  const int64_t rows = 3, places = 6, width = gates() * kHidden;
  for (const bool reverse : {false, true}) {
    Sequence s{rows, places, Random(rows * places * width, 3), {6, 2, 4}, reverse};
    std::vector<double> dy = Random(rows * places * kHidden, 6);
    const std::vector<Tensor> forward = Forward(s), backward = Backward(s, dy, forward);
    for (int64_t at = 0; at < rows * places; ++at) {
      if (static_cast<double>(at % places) < s.lengths[static_cast<size_t>(at / places)]) continue;
      std::fill_n(s.gates.begin() + at * width, width, std::nan(""));
      std::fill_n(dy.begin() + at * kHidden, kHidden, std::nan(""));
    }
    const std::vector<Tensor> padded = Forward(s);
    for (size_t i = 0; i < forward.size(); ++i) EXPECT_EQ(padded[i].data, forward[i].data) << "output " << i;
    const std::vector<Tensor> gradients = Backward(s, dy, forward);
    for (size_t i = 0; i < backward.size(); ++i) EXPECT_EQ(gradients[i].data, backward[i].data) << "gradient " << i;
  }
}

TEST_P(RecurrentTest, TheReverseDirectionIsTheForwardOneOfTheSequenceTurnedRound) {
  const int64_t places = 8, width = gates() * kHidden;
  Sequence s{1, places, Random(places * width, 7), {}, true};
  const auto turned = [&](const std::vector<double>& values) {
    const int64_t size = static_cast<int64_t>(values.size()) / places;
    std::vector<double> result;
    for (int64_t place = places; place-- > 0;) {
      result.insert(result.end(), values.begin() + place * size, values.begin() + (place + 1) * size);
    }
    return result;
  };
  const std::vector<Tensor> back = Forward(s);
  s.gates = turned(s.gates);
  s.reverse = false;
  const std::vector<Tensor> there = Forward(s);
  ExpectNear(turned(back[0].data), there[0].data, "y");
  ExpectNear(Last(back).hidden, Last(there).hidden, "last state");
}

TEST_P(RecurrentTest, StatesCarriedFromRunToRunGiveWhatOneRunGives) {
  const int64_t rows = 5, places = 11, width = gates() * kHidden;
  const Sequence whole{
      rows, places, Random(rows * places * width, 8),
      {},   false,  {Random(rows * kHidden, 9), lstm() ? Random(rows * kHidden, 10) : std::vector<double>{}}};
  const std::vector<Tensor> all = Forward(whole);
  for (const std::vector<int64_t>& parts : {std::vector<int64_t>{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {5, 1, 2, 3}}) {
    States states = whole.start;
    int64_t first = 0;
    for (const int64_t part : parts) {
      const Sequence s{rows, part,  Columns(whole.gates, rows, first * width, (first + part) * width),
                       {},   false, states};
      const std::vector<Tensor> results = Forward(s);
      ExpectNear(results[0].data, Columns(all[0].data, rows, first * kHidden, (first + part) * kHidden),
                 fmt::format("places from {} on", first));
      states = Last(results);
      first += part;
    }
    ExpectNear(states.hidden, Last(all).hidden, "last state");
    ExpectNear(states.cell, Last(all).cell, "last cell");
  }
}

std::vector<size_t> FloatBackends() {
  std::vector<size_t> indices;
  for (size_t i = 0; i < Backends().size(); ++i) {
    if (Backends()[i].activations == DType::kF32) indices.push_back(i);
  }
  return indices;
}

INSTANTIATE_TEST_SUITE_P(Backends, RecurrentTest,
                         testing::Combine(testing::ValuesIn(FloatBackends()),
                                          testing::Values(OpKind::kLstm, OpKind::kGru)),
                         [](const auto& info) {
                           return Backends()[std::get<0>(info.param)].name + "_" + graph::Name(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace lockstep::conformance
