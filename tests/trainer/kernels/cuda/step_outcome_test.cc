// What a step has come to, concluded on an emulated device: norm, clipping, what is not finite.
#include <google/protobuf/text_format.h>

#include "base/arena.h"
#include "base/error.h"
#include "tests/trainer/kernels/cuda/gradient_kernels_world.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::cuda {
namespace {

using optim::ChunkRecord;
using optim::Optimizer;
using optim::StepOutcome;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class ConcludeTest : public GradientKernelsTest {
 protected:
  static constexpr int64_t kCount = 2500, kParameters = 2300;  // chunks: more than a block has threads, twice

  ConcludeTest() {
    std::mt19937 random(1);
    std::uniform_real_distribution<double> exponent(-9, 9);
    for (ChunkRecord& record : records_) record.squares = std::pow(10.0, exponent(random));
  }
  StepOutcome Conclude(double clip_norm, bool skip_nonfinite, int64_t count = kCount, int64_t parameters = kParameters,
                       bool want_norm = true) {
    StepOutcome* const outcome =
        Put(std::vector<StepOutcome>{{.norm = 5, .nonfinite = 5, .gradient_scale = 5, .skip = 5}});
    kernels_->Conclude(*stream_, Put(records_), count, parameters, {clip_norm, skip_nonfinite, want_norm}, outcome);
    stream_->Synchronize();
    return *outcome;
  }
  /// In index order.
  double Norm(int64_t chunks) const {
    double sum = 0;
    for (int64_t k = 0; k < chunks; ++k) sum += records_[static_cast<size_t>(k)].squares;
    return std::sqrt(sum);
  }

  std::vector<ChunkRecord> records_ = std::vector<ChunkRecord>(kCount);
};

TEST_F(ConcludeTest, TheNormIsOfParametersInIndexOrder) {
  for (const int64_t chunks :
       {int64_t{1}, int64_t{2}, int64_t{1023}, int64_t{1024}, int64_t{1025}, kParameters, kCount}) {
    const StepOutcome outcome = Conclude(0, true, kCount, chunks);
    EXPECT_EQ(std::bit_cast<uint64_t>(outcome.norm), std::bit_cast<uint64_t>(Norm(chunks))) << chunks;
    EXPECT_EQ(outcome.gradient_scale, 1.0f);
    EXPECT_EQ(outcome.skip, 0);
    EXPECT_EQ(outcome.nonfinite, -1);
  }
  EXPECT_EQ(Conclude(0, true, 1, 1).norm, std::sqrt(records_[0].squares));
  // Its bits depend on the order: else the test could not tell.
  double reversed = 0;
  for (int64_t k = kParameters; k-- > 0;) reversed += records_[static_cast<size_t>(k)].squares;
  ASSERT_NE(std::sqrt(reversed), Norm(kParameters));
}

TEST_F(ConcludeTest, ClipsAsTheOptimizerDoes) {
  for (const double clip : {1e-5, 1e-3, 0.5, 1.0, 1e9}) {
    optim::OptimizerConfig config;
    config.mutable_sgd();
    config.set_learning_rate(1);
    config.set_clip_norm(clip);
    const Optimizer optimizer(config, {}, {1, 1}, 1);
    for (const double norm : {0.0, 1e-7, 1e-5, 0.99e-3, 1.1e-3, 0.7, 1.0, 1e6}) {
      records_[0].squares = norm * norm;
      const StepOutcome outcome = Conclude(clip, false, 1, 1);
      EXPECT_EQ(std::bit_cast<uint32_t>(outcome.gradient_scale), std::bit_cast<uint32_t>(optimizer.ClipFactor(Norm(1))))
          << clip << " of " << norm;
    }
  }
}

TEST_F(ConcludeTest, FindsTheFirstElementThatIsNotFiniteAndSkips) {
  for (const auto& [a, b] :
       {std::pair<size_t, size_t>{0, 1}, {3, 2000}, {1023, 1024}, {1024, 1025}, {2299, 2300}, {2499, 2499}}) {
    for (size_t k : {a, b}) {
      records_[k].squares = kInfinity;
      records_[k].nonfinite = static_cast<int64_t>(k) * kChunkElements + 7;
    }
    for (const bool skips : {true, false}) {
      const StepOutcome outcome = Conclude(1.0, skips);
      EXPECT_EQ(outcome.nonfinite, static_cast<int64_t>(a) * kChunkElements + 7);
      EXPECT_EQ(outcome.skip, skips ? 1 : 0) << a;
      EXPECT_EQ(std::isfinite(outcome.norm), static_cast<int64_t>(a) >= kParameters) << a;
    }
    for (size_t k : {a, b}) records_[k] = {1, -1};
  }
}

TEST_F(ConcludeTest, TheFirstOfManyChangedChunksIsNamed) {
  for (const size_t k : {size_t{2499}, size_t{1500}, size_t{1024}, size_t{7}, size_t{0}}) {
    records_[k].changed = static_cast<int64_t>(k) * kChunkElements;
    EXPECT_EQ(Conclude(0, true).changed, records_[k].changed);
  }
  EXPECT_EQ(Conclude(0, true).nonfinite, -1);
}

TEST_F(ConcludeTest, ANormThatNothingWantsIsNotSummed) {
  records_[2000].squares = kInfinity;
  records_[2000].nonfinite = 2000 * kChunkElements;
  const StepOutcome outcome = Conclude(0, true, kCount, kParameters, /*want_norm=*/false);
  EXPECT_EQ(outcome.norm, 0);
  EXPECT_EQ(outcome.nonfinite, records_[2000].nonfinite);
  EXPECT_EQ(outcome.skip, 1);
  records_[2000] = {1, -1};
  EXPECT_LT(Conclude(1e-3, false, kCount, kParameters, /*want_norm=*/false).gradient_scale, 1) << "clipping wants it";
}

TEST_F(ConcludeTest, ANormThatIsNoNumberScalesNothing) {
  records_[10].squares = kNan;
  const StepOutcome outcome = Conclude(0.5, true);
  EXPECT_EQ(outcome.gradient_scale, 1.0f) << "as Optimizer::ClipFactor";
  EXPECT_EQ(outcome.skip, 1);
}

}  // namespace
}  // namespace lockstep::cuda
