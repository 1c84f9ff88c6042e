// What the reference's tolerances do not tell about the GPU backend's sequence kernels: the order of an embedding's
// sums, and what is left out.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "tests/trainer/kernels/cuda/emulated_backend.h"
#include "tests/trainer/kernels/op_runner.h"
#include "tests/trainer/kernels/operands.h"

namespace lockstep::conformance {
namespace {

using graph::OpKind;

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

class SequenceTest : public testing::TestWithParam<DType> {
 protected:
  /// Output i of an instance, run on the emulated device.
  std::vector<double> Run(const Instance& instance, size_t output = 0) {
    OpRunner runner(*backend_, instance, {});
    const auto results = runner.Run();
    return Decode(instance.graph.value(instance.op().outputs[output]).dtype, results[output]);
  }

  const std::unique_ptr<engine::Backend> backend_ = cuda::MakeEmulatedBackend();
};

/// Sums in float, one token after the other.
std::vector<double> InOrder(const Instance& instance, int64_t entries, int64_t channels, float scale) {
  const auto &dy = instance.inputs[0].data, &ids = instance.inputs[1].data;
  std::vector<float> sums(static_cast<size_t>(entries * channels));
  for (size_t i = 0; i < dy.size(); ++i) {
    const double id = ids[i / static_cast<size_t>(channels)];
    if (id < 0 || id >= static_cast<double>(entries)) continue;
    sums[static_cast<size_t>(id) * static_cast<size_t>(channels) + i % static_cast<size_t>(channels)] +=
        static_cast<float>(dy[i]);
  }
  std::vector<double> results;
  for (const float sum : sums) results.push_back(static_cast<double>(sum * scale));
  return results;
}

TEST_P(SequenceTest, RowsOfOneIdAreAddedInTheOrderOfPlaces) {
  struct Geometry {
    Shape id;
    int64_t entries, channels;
    int limit;  ///< of ids; those that the table lacks are left out
  };
  for (const auto& [id, entries, channels, limit] : std::vector<Geometry>{{{3, 3001}, 5, 8, 5},
                                                                          {{9000}, 300, 3, 300},
                                                                          {{2, 2500}, 4200, 8, 4200},
                                                                          {{1, 700}, 20, 8, 90},
                                                                          {{5000}, 1, 16, 1}}) {
    std::vector<int64_t> dims(id.dims().begin(), id.dims().end());
    dims.push_back(channels);
    const OpCase op_case{id.ToString(),
                         {F(Shape(std::span<const int64_t>(dims))), Ids(id, limit)},
                         graph::EmbeddingAttributes{.scale = 0.3f, .table = {entries, channels}, .position = {}},
                         {1}};
    const Instance instance = MakeInstance(OpKind::kEmbeddingGrad, op_case, GetParam());
    EXPECT_EQ(Run(instance), InOrder(instance, entries, channels, 0.3f)) << id.ToString() << " of " << entries;
  }
}

TEST_P(SequenceTest, AnIdThatTheTableLacksMakesItsPlaceNotANumber) {
  const OpCase op_case{"ids up to 40",
                       {Ids({50}, 40), Weight({10, 8}), Absent()},
                       graph::EmbeddingAttributes{.table = {}, .position = {}}};
  const Instance instance = MakeInstance(OpKind::kEmbedding, op_case, GetParam());
  const std::vector<double> y = Run(instance);
  std::set<bool> seen;
  for (size_t i = 0; i < y.size(); ++i) {
    const bool lacks = instance.inputs[0].data[i / 8] >= 10;
    EXPECT_EQ(std::isnan(y[i]), lacks) << "place " << i / 8;
    seen.insert(lacks);
  }
  EXPECT_EQ(seen.size(), 2u);
}

/// Keys and values behind a row's length become not-a-number.
Instance WithoutPadding(Instance instance, size_t memory) {
  reference::Tensor& tensor = instance.inputs[memory];
  const auto places = static_cast<size_t>(tensor.shape[1]), channels = static_cast<size_t>(tensor.shape[2]);
  for (size_t i = 0; i < tensor.data.size(); ++i) {
    const double length = instance.inputs[memory + 1].data[i / channels / places];
    if (static_cast<double>(i / channels % places) >= length) tensor.data[i] = kNotANumber;
  }
  return instance;
}

TEST_P(SequenceTest, AttentionNeverSeesWhatLiesBehindTheLength) {
  const graph::AttentionAttributes attributes{2, 1, false};
  const Operand query = F({4, 70, 48}), memory = F({4, 150, 48}), length = Lengths(4, 150);
  const Instance forward = MakeInstance(OpKind::kAttention, {"", {query, memory, length}, attributes}, GetParam());
  for (const size_t output : {0, 1}) EXPECT_EQ(Run(WithoutPadding(forward, 1), output), Run(forward, output));
  const auto result = [](int output) { return ResultOf(OpKind::kAttention, {1, 2, 3}, output); };
  const Instance gradient = MakeInstance(
      OpKind::kAttentionGrad, {"", {query, query, memory, length, result(0), result(1)}, attributes}, GetParam());
  for (const size_t output : {0, 1}) EXPECT_EQ(Run(WithoutPadding(gradient, 2), output), Run(gradient, output));
}

TEST_P(SequenceTest, AttentionToNotANumberIsNotANumber) {
  const OpCase op_case{"", {F({1, 100, 48}), Absent(), Absent()}, graph::AttentionAttributes{1, 1, true}, {1}};
  Instance instance = MakeInstance(OpKind::kAttention, op_case, GetParam());
  constexpr size_t kPlace = 70;
  for (size_t i = 0; i < 48; ++i) instance.inputs[0].data[kPlace * 48 + i] = kNotANumber;
  const std::vector<double> y = Run(instance);
  EXPECT_FALSE(std::isnan(y[0]));
  for (size_t i = kPlace * 16; i < y.size(); ++i) EXPECT_TRUE(std::isnan(y[i])) << "place " << i / 16;
}

INSTANTIATE_TEST_SUITE_P(Types, SequenceTest, testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace lockstep::conformance
