#include "trainer/step/weight_check.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "comm/local/local_communicator.h"
#include "tests/trainer/engine/small_model.h"

namespace lockstep::step {
namespace {

class WeightCheckTest : public testing::Test {
 protected:
  std::vector<float> Weights() const {
    std::vector<float> weights(static_cast<size_t>(layout_.elements()));
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 97);
    return weights;
  }
  comm::SliceMap Slices(int ranks) const { return {comm::CutBuckets(layout_.elements(), 2 * kChunkElements), ranks}; }
  static void Flip(float& value) { value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) ^ 1u); }

  const engine::ParameterLayout layout_{engine::SmallModel(graph::Mode::kTrain)};
};

TEST_F(WeightCheckTest, AFlippedBitInAnOwnedSliceIsFoundBeforeItsUpdateAndOnce) {
  const auto world = comm::MakeLocalWorld({});
  const comm::SliceMap slices = Slices(1);
  std::vector<float> weights = Weights();
  WeightCheck check(*world.front(), {layout_, slices, weights});
  check.CheckOwned(0, 3);  // nothing was noted
  check.NoteOwned();
  Flip(weights[20]);  // of fc2.weight, in the first bucket
  try {
    check.CheckOwned(0, 3);
    ADD_FAILURE() << "not found";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kPeer);
    EXPECT_NE(error.message().find("fc2.weight"), std::string::npos) << error.what();
  }
  check.CheckOwned(0, 3);  // a bucket is compared once
  check.CheckOwned(1, 3);
}

TEST_F(WeightCheckTest, HostsThatAgreeGetTheHashOfTheirWeights) {
  comm::RunLocalWorld({.world_size = 3, .ranks_per_host = {1, 1, 1}}, [&](comm::Communicator& comm) {
    const comm::SliceMap slices = Slices(3);
    const std::vector<float> weights = Weights();
    EXPECT_EQ(WeightCheck(comm, {layout_, slices, weights}).CompareHosts(5),
              engine::HashWeights(layout_, weights.data()));
  });
}

TEST_F(WeightCheckTest, AHostWhoseWeightsDifferIsFoundWithTheTensor) {
  try {
    comm::RunLocalWorld({.world_size = 3, .ranks_per_host = {1, 1, 1}}, [&](comm::Communicator& comm) {
      const comm::SliceMap slices = Slices(3);
      std::vector<float> weights = Weights();
      // In the first chunk, which rank 0 owns. Statistics, in the last one, are no part of the hash.
      if (comm.rank() == 1) Flip(weights[20]);
      WeightCheck(comm, {layout_, slices, weights}).CompareHosts(5);
    });
    ADD_FAILURE() << "not found";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kPeer);
    EXPECT_NE(error.message().find("fc2.weight"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lockstep::step
