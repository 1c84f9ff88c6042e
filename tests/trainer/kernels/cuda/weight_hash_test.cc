// Weights hashed on an emulated device: a change of any bit is seen, in its chunk, and nothing else is.
#include "base/arena.h"
#include "tests/trainer/kernels/cuda/gradient_kernels_world.h"

namespace lockstep::cuda {
namespace {

using optim::ChunkRecord;
using optim::DeviceSlice;

class WeightHashTest : public GradientKernelsTest {
 protected:
  static constexpr int64_t kSize = 2 * kChunkElements + 1024, kBegin = 5 * kChunkElements;

  void SetUp() override { kernels_->Hash(*stream_, slice_, hashes_); }
  /// By chunk: its first element where it has changed, else -1.
  std::vector<int64_t> Changed() {
    ChunkRecord* const chunks = Put(std::vector<ChunkRecord>(3, {.squares = 7, .nonfinite = 7, .changed = 7}));
    kernels_->CompareHashes(*stream_, slice_, hashes_, chunks);
    stream_->Synchronize();
    std::vector<int64_t> changed;
    for (int k = 0; k < 3; ++k) {
      EXPECT_EQ(chunks[k].nonfinite, 7) << "the sum's part of the record is another kernel's";
      changed.push_back(chunks[k].changed);
    }
    return changed;
  }
  void Flip(int64_t element, int bit) {
    float& weight = slice_.weights[element];
    weight = std::bit_cast<float>(std::bit_cast<uint32_t>(weight) ^ (1u << bit));
  }

  DeviceSlice slice_ = {.begin = kBegin, .size = kSize, .weights = Put(RandomValues(kSize, 1)), .state = {}};
  uint64_t* hashes_ = Put(std::vector<uint64_t>(3));
};

TEST_F(WeightHashTest, SeesNothingWhereNothingChanged) { EXPECT_EQ(Changed(), (std::vector<int64_t>{-1, -1, -1})); }

TEST_F(WeightHashTest, SeesEveryBitInItsChunk) {
  stream_->Synchronize();
  for (const int64_t element : {int64_t{0}, kChunkElements - 1, kChunkElements, 2 * kChunkElements + 5, kSize - 1}) {
    for (const int bit : {0, 13, 31}) {
      Flip(element, bit);
      std::vector<int64_t> expected(3, -1);
      expected[static_cast<size_t>(element / kChunkElements)] = kBegin + element / kChunkElements * kChunkElements;
      EXPECT_EQ(Changed(), expected) << "element " << element << ", bit " << bit;
      Flip(element, bit);
    }
  }
}

TEST_F(WeightHashTest, SeesTwoWeightsThatChangedPlaces) {
  stream_->Synchronize();
  std::swap(slice_.weights[10], slice_.weights[11]);
  EXPECT_EQ(Changed(), (std::vector<int64_t>{kBegin, -1, -1}));
}

}  // namespace
}  // namespace lockstep::cuda
