#include "data/batches/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "data/sampler.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

constexpr uint64_t kSize = 10;

/// The deliveries of one step of `lanes` lanes with `rows` rows each.
std::vector<LaneDelivery> Deliver(const Sampler& sampler, uint64_t step, int lanes, uint64_t rows) {
  std::vector<LaneDelivery> deliveries;
  for (uint64_t lane = 0; lane < static_cast<uint64_t>(lanes); ++lane) {
    const uint64_t first = (step * static_cast<uint64_t>(lanes) + lane) * rows;
    LaneDelivery delivery{.first_epoch = sampler.At(first).epoch};
    for (uint64_t i = 0; i < rows; ++i) delivery.Add(sampler.At(first + i).epoch, sampler.At(first + i).id);
    deliveries.push_back(delivery);
  }
  return deliveries;
}

TEST(Ledger, AcceptsEpochsThatEndInsideLanesAndSteps) {
  for (const auto& [lanes, rows] : {std::pair{1, 3}, {2, 3}, {4, 1}, {3, 7}, {1, 10}, {4, 10}}) {
    const Sampler sampler(kSize, 1);
    Ledger ledger(kSize);
    const auto batch = static_cast<uint64_t>(lanes * rows);
    for (uint64_t step = 0; step < 40; ++step) {
      ledger.Add(step, Deliver(sampler, step, lanes, static_cast<uint64_t>(rows)), (step + 1) * batch);
    }
    EXPECT_NE(ledger.chain(), 0u);
  }
}

TEST(Ledger, CatchesASampleInPlaceOfAnother) {
  for (int fault : {0, 4, 9}) {
    Ledger ledger(kSize);
    LaneDelivery delivery{.first_epoch = 0};
    for (int i = 0; i < static_cast<int>(kSize); ++i)
      delivery.Add(0, static_cast<uint64_t>(i == fault ? (i + 1) % 10 : i));
    ExpectError(ErrorKind::kInternal, {"epoch 0 did not deliver each of its 10 samples exactly once", "step 3"},
                [&] { ledger.Add(3, {{delivery}}, kSize); });
  }
}

TEST(Ledger, CatchesAMissingSampleAndAnEpochThatNeverCame) {
  LaneDelivery short_by_one{.first_epoch = 0};
  for (uint64_t id = 0; id + 1 < kSize; ++id) short_by_one.Add(0, id);
  Ledger ledger(kSize);
  ExpectError(ErrorKind::kInternal, {"epoch 0"}, [&] { ledger.Add(0, {{short_by_one}}, kSize); });

  LaneDelivery other_epoch{.first_epoch = 1};
  for (uint64_t id = 0; id < kSize; ++id) other_epoch.Add(1, id);
  Ledger another(kSize);
  ExpectError(ErrorKind::kInternal, {"epoch 0"}, [&] { another.Add(0, {{other_epoch}}, kSize); });
}

TEST(Ledger, TheSumDoesNotDependOnOrderAndTheChainDoes) {
  std::vector<uint64_t> ids(kSize);
  std::iota(ids.begin(), ids.end(), 0);
  uint64_t whole = 0;
  for (uint64_t id : ids) whole += CommutativeLedger::Mix(3, id);
  EXPECT_EQ(whole, CommutativeLedger::WholeEpoch(3, kSize));

  LaneDelivery forward{.first_epoch = 3}, shuffled{.first_epoch = 3};
  for (uint64_t id : ids) forward.Add(3, id);
  std::shuffle(ids.begin(), ids.end(), std::mt19937(1));
  for (uint64_t id : ids) shuffled.Add(3, id);
  EXPECT_EQ(forward.sum_first, shuffled.sum_first);
  EXPECT_EQ(forward.sum_first, whole);
  EXPECT_NE(forward.ordered, shuffled.ordered);
}

TEST(Ledger, DifferentEpochsAddUpDifferently) {
  EXPECT_NE(CommutativeLedger::WholeEpoch(0, kSize), CommutativeLedger::WholeEpoch(1, kSize));
}

TEST(Ledger, GoesOnFromWhatWasSavedInTheMiddleOfAnEpoch) {
  const Sampler sampler(kSize, 1);
  Ledger through(kSize), before(kSize), after(kSize);
  for (uint64_t step = 0; step < 9; ++step) {
    through.Add(step, Deliver(sampler, step, 2, 2), (step + 1) * 4);
    if (step < 4) before.Add(step, Deliver(sampler, step, 2, 2), (step + 1) * 4);
  }
  after.Restore(before.Serialize());
  for (uint64_t step = 4; step < 9; ++step) after.Add(step, Deliver(sampler, step, 2, 2), (step + 1) * 4);
  EXPECT_EQ(after.chain(), through.chain());
  EXPECT_EQ(after.Serialize(), through.Serialize());
}

TEST(Ledger, RefusesBytesThatAreNoneOrOfOtherData) {
  const std::string good = Ledger(kSize).Serialize();
  Ledger ledger(kSize);
  const auto refuse = [&](const std::string& bytes, const std::string& message) {
    ExpectError(ErrorKind::kCheckpoint, {message}, [&] { ledger.Restore(bytes); });
  };
  refuse("", "0 bytes are no ledger");
  refuse(good.substr(0, good.size() - 1), "no ledger");
  refuse(good + std::string(8, '\0'), "no ledger");
  std::string newer = good;
  newer[0] = 2;
  refuse(newer, "version 2");
  refuse(Ledger(kSize + 1).Serialize(), "of 11 samples, the data has 10");
}

}  // namespace
}  // namespace lockstep::data
