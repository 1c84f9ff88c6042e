#include "trainer/engine/parameter_layout.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "base/arena.h"
#include "base/hash.h"
#include "tests/trainer/engine/small_model.h"

namespace lockstep::engine {
namespace {

TEST(ParameterLayout, ParametersStandInReverseCreationOrderAndStatisticsBehindThem) {
  const ParameterLayout layout(SmallModel(graph::Mode::kTrain));
  std::vector<std::pair<std::string, int64_t>> places;
  for (const ArenaEntry& entry : layout.entries()) places.emplace_back(entry.name, entry.offset);
  // fc2.bias 10 -> 16, fc2.weight 20,000, fc1.bias 2,000, fc1.weight 10,000, bn.bias 5 -> 16, bn.weight 5 -> 16,
  // conv.weight 135 -> 144: 32,192, and so 8 chunks.
  const std::vector<std::pair<std::string, int64_t>> expected = {
      {"fc2.bias", 0},        {"fc2.weight", 16},         {"fc1.bias", 20016},
      {"fc1.weight", 22016},  {"bn.bias", 32016},         {"bn.weight", 32032},
      {"conv.weight", 32048}, {"bn.running_mean", 32768}, {"bn.running_var", 32784}};
  EXPECT_EQ(places, expected);
  EXPECT_EQ(layout.parameter_elements(), 32768);
  EXPECT_EQ(layout.elements(), 32768 + 4096);
  EXPECT_EQ(layout.parameter_count(), 10 + 20000 + 2000 + 10000 + 5 + 5 + 135);
  EXPECT_FALSE(layout.Find("conv.weight")->statistic);
  EXPECT_TRUE(layout.Find("bn.running_var")->statistic);
  EXPECT_EQ(layout.Find("bn"), nullptr);
}

TEST(ParameterLayout, DoesNotDependOnModeOrBatch) {
  const ParameterLayout train(SmallModel(graph::Mode::kTrain, 4)), infer(SmallModel(graph::Mode::kInfer, 1));
  ASSERT_EQ(train.entries().size(), infer.entries().size());
  for (size_t i = 0; i < train.entries().size(); ++i) {
    EXPECT_EQ(train.entries()[i].name, infer.entries()[i].name);
    EXPECT_EQ(train.entries()[i].offset, infer.entries()[i].offset);
  }
  EXPECT_EQ(train.elements(), infer.elements());
}

TEST(ParameterLayout, EntriesAreAlignedAndDisjointInRandomModels) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 50; ++trial) {
    graph::Builder b(graph::Mode::kTrain, 1);
    const int count = static_cast<int>(random() % 20);
    for (int i = 0; i < count; ++i) {
      const Shape shape{static_cast<int64_t>(1 + random() % 90), static_cast<int64_t>(1 + random() % 90)};
      if (random() % 4 == 0) {
        b.Statistic(fmt::format("s{}", i), shape, 0);
      } else {
        b.Parameter(fmt::format("p{}", i), shape, {}, true);
      }
    }
    const ParameterLayout layout(b.Finish());
    ASSERT_EQ(layout.entries().size(), static_cast<size_t>(count));
    EXPECT_EQ(layout.elements() % kChunkElements, 0);
    EXPECT_EQ(layout.parameter_elements() % kChunkElements, 0);
    int64_t end = 0;
    for (const ArenaEntry& entry : layout.entries()) {
      EXPECT_GE(entry.offset, end);
      EXPECT_EQ(entry.offset % 16, 0);
      EXPECT_EQ(entry.statistic, entry.offset >= layout.parameter_elements());
      end = entry.offset + entry.size();
    }
    EXPECT_LE(end, layout.elements());
  }
}

TEST(HashWeights, IsTheHashOfNamesAndBytesInNameOrder) {
  const ParameterLayout layout(SmallModel(graph::Mode::kTrain));
  std::vector<float> arena(static_cast<size_t>(layout.elements()));
  std::mt19937 random(1);
  for (float& x : arena) x = static_cast<float>(random()) * 1e-9f;

  std::string bytes;
  for (const char* name : {"bn.bias", "bn.weight", "conv.weight", "fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"}) {
    const ArenaEntry* entry = layout.Find(name);
    bytes += name;
    bytes.append(reinterpret_cast<const char*>(arena.data() + entry->offset), static_cast<size_t>(entry->size()) * 4);
  }
  EXPECT_EQ(HashWeights(layout, arena.data()), Hash64(bytes));
}

TEST(HashWeights, SeesParametersAndNeitherPaddingNorStatistics) {
  const ParameterLayout layout(SmallModel(graph::Mode::kTrain));
  std::vector<float> arena(static_cast<size_t>(layout.elements()), 1.0f);
  const uint64_t hash = HashWeights(layout, arena.data());
  arena[10] = 2;  // behind fc2.bias's ten elements
  arena[static_cast<size_t>(layout.Find("bn.running_mean")->offset)] = 2;
  EXPECT_EQ(HashWeights(layout, arena.data()), hash);
  arena[9] = 2;
  EXPECT_NE(HashWeights(layout, arena.data()), hash);
}

}  // namespace
}  // namespace lockstep::engine
