// Where the tree's first sum is of two lanes of one rank, the second one's products add to what the first one left: to
// the bits of a sum behind the products.
#include <gtest/gtest.h>

#include <atomic>

#include "base/emulated_device.h"
#include "base/log.h"
#include "launch/job/assemble_kit.h"
#include "tests/base/temporary_folder.h"
#include "tests/trainer/kernels/cuda/loop_library.h"
#include "tests/trainer/run/device_setups.h"

namespace lockstep::run {
namespace {

/// Loops that can add, or can't, and count the products that add as they are prepared.
class CountingLibrary final : public cuda::DenseLibrary {
 public:
  CountingLibrary(bool adds, std::atomic<int>& added) : adds_(adds), added_(added) {}

  bool Supports(const cuda::MatmulSpec& spec) override { return adds_ || !spec.adds; }
  size_t WorkspaceBytes(const cuda::MatmulSpec& spec) override { return loops_->WorkspaceBytes(spec); }
  size_t WorkspaceBytes(const cuda::ConvolutionSpec& spec) override { return loops_->WorkspaceBytes(spec); }
  std::unique_ptr<engine::Kernel> Prepare(const cuda::MatmulSpec& spec, const cuda::MatmulOperands& operands,
                                          DeviceStream& stream) override {
    added_ += spec.adds ? 1 : 0;
    return loops_->Prepare(spec, operands, stream);
  }
  std::unique_ptr<engine::Kernel> Prepare(const cuda::ConvolutionSpec& spec, const cuda::ConvolutionOperands& operands,
                                          DeviceStream& stream) override {
    return loops_->Prepare(spec, operands, stream);
  }
  std::string version() const override { return loops_->version(); }

 private:
  const bool adds_;
  std::atomic<int>& added_;
  const std::unique_ptr<cuda::DenseLibrary> loops_ = cuda::MakeLoopLibrary();
};

class AddedProductsTest : public testing::Test {
 protected:
  ~AddedProductsTest() override { StartLog("", true, 0); }

  TrainOutcome Train(TrainSetup setup, int ranks, bool adds) {
    added_ = 0;
    setup.change = [this, adds](Job& job) {
      UseKit(job, launch::AssembleKit(MakeEmulatedDevice(), std::make_shared<CountingLibrary>(adds, added_)));
    };
    return TrainOnThreads(setup, ranks, temporary_ / std::to_string(runs_++));
  }
  /// The same bits with and without; `products` of a rank's program add.
  void ExpectSame(const TrainSetup& setup, int ranks, int products) {
    const TrainOutcome apart = Train(setup, ranks, false);
    EXPECT_EQ(added_, 0);
    ExpectEqual(Train(setup, ranks, true), apart);
    EXPECT_EQ(added_, products) << ranks << " ranks";
  }

  TemporaryFolder temporary_;
  std::atomic<int> added_ = 0;
  int runs_ = 0;
};

const TrainSetup kSetup = {.train = "steps: 6 global_batch: 24 lanes: 8", .model = kWide};

TEST_F(AddedProductsTest, HaveTheBitsOfSumsBehindProducts) {
  ExpectSame(kSetup, 1, 3);  // the weights of three layers
  ExpectSame(kSetup, 3, 3 + 3 + 3);
  ExpectSame(kSetup, 8, 0);  // lanes of different ranks
}

TEST_F(AddedProductsTest, HaveTheSameBitsInBf16AndWithClippingAndOddLanes) {
  TrainSetup setup = kSetup;
  setup.train = "steps: 6 global_batch: 28 lanes: 7 precision: BF16";
  setup.optimizer = "adamw {} learning_rate: 0.01 clip_norm: 0.5";
  ExpectSame(setup, 1, 3);
  ExpectSame(setup, 2, 3 + 3);
}

TEST_F(AddedProductsTest, AreNotMadeWhereSumsAreRounded) {
  TrainSetup setup = kSetup;
  setup.train += " wire: BF16";
  ExpectSame(setup, 1, 0);
}

TEST_F(AddedProductsTest, StatisticsAndBiasesAreFoldedAsEver) {
  TrainSetup setup = kSetup;
  setup.model =
      "layers { layer { linear { features: 250 } } layer { batch_norm {} } layer { activation: GELU } "
      "layer { dropout: 0.3 } layer { linear {} } }";
  ExpectSame(setup, 1, 2);
}

}  // namespace
}  // namespace lockstep::run
