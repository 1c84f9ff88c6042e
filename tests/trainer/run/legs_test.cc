#include "trainer/run/legs.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <span>

#include "data/batches/ledger.h"
#include "data/batches/make_batches.h"

namespace lockstep::run {
namespace {

class Samples final : public data::Dataset {
 public:
  Samples(uint64_t size, bool ragged) : size_(size) { traits_.ragged = ragged; }
  uint64_t size() const override { return size_; }
  std::span<const data::Field> fields() const override { return {&field_, 1}; }
  const data::SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override { return size_; }
  void Read(uint64_t, uint64_t, data::Sample&) const override {}

 private:
  const uint64_t size_;
  data::SourceTraits traits_;
  const data::Field field_{"x", DType::kF32, Shape{1}};
};

/// After 13 steps of 8 in data of 30 samples.
checkpoint::LoopState Loop() {
  checkpoint::LoopState loop;
  loop.mutable_place()->set_position(104);
  loop.mutable_place()->set_samples(30);
  loop.mutable_place()->set_fingerprint(30);
  loop.mutable_place()->set_global_batch(8);
  return loop;
}

plan::TrainConfig BatchOf(uint32_t samples) {
  plan::TrainConfig config;
  config.set_global_batch(samples);
  return config;
}

TEST(Legs, AResumeOfTheSameGoesOnInItsLeg) {
  checkpoint::LoopState loop = Loop();
  EXPECT_EQ(NextLeg(loop, 13, BatchOf(8), Samples(30, false)), data::Leg{});
  loop.mutable_place()->set_first_step(5);
  loop.mutable_place()->set_first_position(40);
  EXPECT_EQ(NextLeg(loop, 13, BatchOf(8), Samples(30, false)), (data::Leg{5, 40}));
}

TEST(Legs, OtherBatchesOfTheSameSamplesKeepThePlace) {
  EXPECT_EQ(NextLeg(Loop(), 13, BatchOf(6), Samples(30, false)), (data::Leg{13, 104}));
}

TEST(Legs, OtherDataAndRaggedSamplesBeginAnEpoch) {
  EXPECT_EQ(NextLeg(Loop(), 13, BatchOf(6), Samples(30, true)), (data::Leg{13, 120}));
  EXPECT_EQ(NextLeg(Loop(), 13, BatchOf(8), Samples(50, false)), (data::Leg{13, 200}));
  checkpoint::LoopState loop = Loop();
  loop.mutable_place()->set_position(90);
  EXPECT_EQ(NextLeg(loop, 13, BatchOf(8), Samples(50, false)), (data::Leg{13, 150}));
}

TEST(Legs, AnOlderBuildsCheckpointHasOneLeg) {
  EXPECT_EQ(NextLeg({}, 13, BatchOf(8), Samples(30, false)), data::Leg{});
}

TEST(Legs, TheLedgerClosesAnEpochAcrossAChangeOfBatches) {
  const auto dataset = std::make_shared<Samples>(30, false);
  data::Ledger ledger(30);
  const auto deliver = [&](const data::BatchOptions& options, uint64_t first, uint64_t end) {
    const auto batches = data::MakeBatches(dataset, nullptr, options);
    data::LaneSamples samples;
    for (uint64_t step = first; step < end; ++step) {
      std::vector<data::LaneDelivery> deliveries;
      for (int lane = 0; lane < options.lanes; ++lane) {
        batches->Lane(step, lane, samples);
        deliveries.push_back({.first_epoch = samples.first_position / 30});
        for (const data::Sampler::Pick& pick : samples.picks) deliveries.back().Add(pick.epoch, pick.id);
      }
      ledger.Add(step, deliveries, batches->FirstPosition(step + 1));  // throws where an epoch is not whole
    }
    return batches->Steps(10);
  };
  EXPECT_EQ(deliver({.seed = 1, .lanes = 2, .global_batch = 8}, 0, 13), 37u);
  const data::BatchOptions other{.seed = 1, .lanes = 3, .global_batch = 15, .leg = {13, 104}};
  EXPECT_EQ(deliver(other, 13, 26), 13u + (300 - 104) / 15);
}

}  // namespace
}  // namespace lockstep::run
