#include "data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

namespace lockstep::data {
namespace {

std::vector<uint64_t> EpochOf(const Sampler& sampler, uint64_t epoch) {
  std::vector<uint64_t> ids;
  for (uint64_t i = 0; i < sampler.size(); ++i) {
    const Sampler::Pick pick = sampler.At(epoch * sampler.size() + i);
    EXPECT_EQ(pick.epoch, epoch);
    ids.push_back(pick.id);
  }
  return ids;
}

bool IsPermutation(std::vector<uint64_t> ids) {
  std::sort(ids.begin(), ids.end());
  for (uint64_t i = 0; i < ids.size(); ++i) {
    if (ids[i] != i) return false;
  }
  return true;
}

TEST(Sampler, EveryEpochOfEverySizeIsAPermutation) {
  std::vector<uint64_t> sizes(300);
  std::iota(sizes.begin(), sizes.end(), 1);
  for (uint64_t size : {1023, 1024, 1025, 4095, 4096, 4097, 60000, 65535, 65536, 65537, 262143}) sizes.push_back(size);
  for (uint64_t size : sizes) {
    for (uint64_t epoch : {0, 1, 7}) EXPECT_TRUE(IsPermutation(EpochOf(Sampler(size, 1234), epoch))) << size;
  }
}

TEST(Sampler, HugeSizesStayInRange) {
  for (uint64_t size : {(uint64_t{1} << 40) + 1, uint64_t{1} << 62, (uint64_t{1} << 63) + 12345}) {
    const Sampler sampler(size, 3);
    for (uint64_t i = 0; i < 1000; ++i) EXPECT_LT(sampler.At(i).id, size);
  }
}

TEST(Sampler, SeedsAndEpochsGiveOtherOrders) {
  const auto first = EpochOf(Sampler(1000, 1), 0);
  EXPECT_NE(first, EpochOf(Sampler(1000, 1), 1));
  EXPECT_NE(first, EpochOf(Sampler(1000, 2), 0));
  EXPECT_EQ(first, EpochOf(Sampler(1000, 1), 0));
}

TEST(Sampler, WithoutShuffleKeepsTheOrder) {
  const Sampler sampler(5, 1, /*shuffle=*/false);
  for (uint64_t position = 0; position < 15; ++position) {
    EXPECT_EQ(sampler.At(position).id, position % 5);
    EXPECT_EQ(sampler.At(position).epoch, position / 5);
  }
}

// Every id stands at every place equally often: chi-square with (size - 1)^2 degrees of freedom.
TEST(Sampler, PlacesAreUniform) {
  constexpr int kEpochs = 20000;
  for (uint64_t size : {2, 3, 5, 10, 17}) {
    const Sampler sampler(size, 99);
    std::vector<double> counts(size * size);
    for (uint64_t position = 0; position < kEpochs * size; ++position) {
      counts[position % size * size + sampler.At(position).id] += 1;
    }
    const double expected = static_cast<double>(kEpochs) / static_cast<double>(size);
    double chi = 0;
    for (double count : counts) chi += (count - expected) * (count - expected) / expected;
    const double freedom = static_cast<double>((size - 1) * (size - 1));
    EXPECT_LT(chi, freedom + 6 * std::sqrt(2 * freedom) + 10) << size;
  }
}

TEST(Sampler, AllOrdersOfFourOccurEquallyOften) {
  constexpr int kEpochs = 24000;
  const Sampler sampler(4, 5);
  std::map<std::vector<uint64_t>, int> orders;
  for (uint64_t epoch = 0; epoch < kEpochs; ++epoch) ++orders[EpochOf(sampler, epoch)];
  EXPECT_EQ(orders.size(), 24u);
  for (const auto& [order, count] : orders) EXPECT_NEAR(count, 1000, 200);
}

TEST(Sampler, NeighboursAreNotNeighboursAfterwards) {
  const auto ids = EpochOf(Sampler(60000, 1), 0);
  int close = 0;
  for (size_t i = 1; i < ids.size(); ++i) close += std::max(ids[i], ids[i - 1]) - std::min(ids[i], ids[i - 1]) <= 10;
  EXPECT_NEAR(close, 20, 20);  // 60,000 * 20 / 60,000 by chance
}

}  // namespace
}  // namespace lockstep::data
