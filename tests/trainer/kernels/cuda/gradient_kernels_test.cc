// Sums over pieces, and updates by them, on an emulated device, against what the host does: the same bits.
#include <google/protobuf/text_format.h>

#include "base/bfloat16.h"
#include "base/error.h"
#include "comm/exchange.h"
#include "tests/trainer/kernels/cuda/gradient_kernels_world.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::cuda {
namespace {

using optim::ChunkRecord;
using optim::DeviceSlice;
using optim::Optimizer;
using optim::PieceSum;
using optim::Segment;
using optim::SegmentRules;
using optim::StepOutcome;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Pieces of a slice, on the device and for the host's sum of them.
class SumTest : public GradientKernelsTest {
 protected:
  static constexpr int64_t kBegin = 5 * kChunkElements;
  static constexpr int64_t kSize = 2 * kChunkElements + 1000;  // the arena's end may be inside a chunk
  static constexpr int64_t kChunks = 3;

  /// One piece for each of `nodes`.
  void MakePieces(int lanes, const std::vector<LaneRange>& nodes) {
    pieces_.clear();
    held_.clear();
    for (size_t n = 0; n < nodes.size(); ++n) {
      pieces_.push_back(Put(RandomValues(kSize, static_cast<uint32_t>(n))));
      held_.push_back(reinterpret_cast<const std::byte*>(pieces_.back()));
    }
    MakeSum(lanes, nodes, DType::kF32);
  }
  /// Pieces of bf16.
  void MakeRoundedPieces(int lanes, const std::vector<LaneRange>& nodes) {
    held_.clear();
    for (size_t n = 0; n < nodes.size(); ++n) {
      std::vector<BFloat16> rounded;
      for (const float value : RandomValues(kSize, static_cast<uint32_t>(n))) rounded.push_back(BFloat16::From(value));
      held_.push_back(reinterpret_cast<const std::byte*>(Put(rounded)));
    }
    MakeSum(lanes, nodes, DType::kBF16);
  }
  void MakeSum(int lanes, const std::vector<LaneRange>& nodes, DType wire) {
    std::vector<int32_t> order;
    order_ = LaneSumOrder(lanes, {0, lanes}, nodes);
    for (const LaneSumStep& step : order_) order.push_back(step.piece);
    sum_.pieces = Put(held_);
    sum_.order = Put(order);
    sum_.count = static_cast<int>(nodes.size());
    sum_.wire = wire;
  }
  std::vector<float> HostSum() const {
    std::vector<float> sum(kSize);
    comm::SliceSum(held_, order_, sum_.wire).Evaluate(0, sum);
    return sum;
  }
  /// Sums on the device, into sums_ and chunks_.
  void Sum() {
    sums_ = PutNothing(kSize);
    chunks_ = Put(std::vector<ChunkRecord>(kChunks + 1, ChunkRecord{7, 7}));
    DeviceSlice slice;
    slice.begin = kBegin;
    slice.size = kSize;
    kernels_->Sum(*stream_, sum_, slice, sums_, chunks_);
    stream_->Synchronize();
    EXPECT_EQ(chunks_[kChunks].squares, 7) << "nothing behind the slice's chunks is written";
  }
  void ExpectHostsSum(const std::string& what) {
    const std::vector<float> expected = HostSum();
    ExpectSameBits(sums_, expected.data(), kSize, what);
    ExpectRecordsOf(expected, what);
  }
  void ExpectRecordsOf(const std::vector<float>& sum, const std::string& what) {
    for (int64_t k = 0; k < kChunks; ++k) {
      const int64_t at = k * kChunkElements, count = std::min(kChunkElements, kSize - at);
      const double squares =
          optim::ChunkSumOfSquares(std::span(sum).subspan(static_cast<size_t>(at), static_cast<size_t>(count)));
      EXPECT_EQ(std::bit_cast<uint64_t>(chunks_[k].squares), std::bit_cast<uint64_t>(squares)) << what << " " << k;
      EXPECT_EQ(chunks_[k].nonfinite, -1) << what << " " << k;
    }
  }

  std::vector<float*> pieces_;          ///< of floats
  std::vector<const std::byte*> held_;  ///< all of them
  std::vector<LaneSumStep> order_;
  PieceSum sum_;
  float* sums_ = nullptr;
  ChunkRecord* chunks_ = nullptr;
};

TEST_F(SumTest, OneLaneAPieceHasTheBitsOfTheHostsSum) {
  for (int lanes : {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 37}) {
    std::vector<LaneRange> nodes;
    for (int lane = 0; lane < lanes; ++lane) nodes.push_back({lane, lane + 1});
    MakePieces(lanes, nodes);
    Sum();
    ExpectHostsSum(std::to_string(lanes) + " lanes");
    MakeRoundedPieces(lanes, nodes);
    Sum();
    ExpectHostsSum(std::to_string(lanes) + " lanes in bf16");
  }
}

TEST_F(SumTest, AnyDealOfLanesHasTheBitsOfTheHostsSum) {
  for (const auto& [lanes, ranks] : {std::pair{8, 3}, {8, 5}, {7, 2}, {64, 3}, {64, 5}, {64, 13}, {100, 7}}) {
    std::vector<LaneRange> nodes;
    for (LaneRange run : DealLanes(lanes, ranks))
      for (LaneRange node : MaximalNodes(lanes, run)) nodes.push_back(node);
    MakePieces(lanes, nodes);
    Sum();
    ExpectHostsSum(std::to_string(lanes) + " lanes on " + std::to_string(ranks));
    MakeRoundedPieces(lanes, nodes);
    Sum();
    ExpectHostsSum(std::to_string(lanes) + " lanes on " + std::to_string(ranks) + " in bf16");
  }
}

TEST_F(SumTest, AsManyLanesAsTheStackHolds) {
  constexpr int kLanes = 1 << 11;  // a stack of 12: the last leaf lies on one sum a level
  std::vector<LaneRange> nodes;
  for (int lane = 0; lane < kLanes; ++lane) nodes.push_back({lane, lane + 1});
  MakePieces(kLanes, nodes);
  ASSERT_EQ(LaneSumDepth(order_), 12);
  Sum();
  ExpectHostsSum("2048 lanes");
}

TEST_F(SumTest, NamesTheFirstElementOfAChunkThatIsNotFinite) {
  const std::vector<LaneRange> nodes = {{0, 1}, {1, 2}, {2, 3}};
  const int64_t last = kSize - 1;
  struct Bad {
    std::vector<int64_t> places;
    int64_t first[kChunks];
  };
  const Bad cases[] = {
      {{0}, {0, -1, -1}},
      {{3}, {3, -1, -1}},
      {{kChunkElements - 1}, {kChunkElements - 1, -1, -1}},
      {{kChunkElements}, {-1, kChunkElements, -1}},
      {{2049, 1030, 4095}, {1030, -1, -1}},
      {{1027, 1026, 1025}, {1025, -1, -1}},
      {{2054, 1030, 3078}, {1030, -1, -1}},  // of one thread
      {{last}, {-1, -1, last}},
      {{last, 17, kChunkElements + 1, kChunkElements + 5, 2 * kChunkElements},
       {17, kChunkElements + 1, 2 * kChunkElements}},
  };
  for (const float value : {kNan, -kNan, kInfinity, -kInfinity}) {
    for (const Bad& bad : cases) {
      MakePieces(3, nodes);
      for (int64_t place : bad.places) pieces_[static_cast<size_t>(place % 3)][place] = value;
      Sum();
      for (int64_t k = 0; k < kChunks; ++k) {
        EXPECT_EQ(chunks_[k].nonfinite, bad.first[k] < 0 ? -1 : kBegin + bad.first[k])
            << value << " at " << bad.places.front() << ", chunk " << k;
        EXPECT_EQ(std::isfinite(chunks_[k].squares), bad.first[k] < 0) << value << " at " << bad.places.front();
        EXPECT_EQ(chunks_[k].nonfinite_pieces, bad.first[k] < 0 ? 0 : uint64_t{1} << bad.first[k] % 3);
      }
    }
  }
}

TEST_F(SumTest, NamesThePiecesThatAreNotFiniteAtThatElement) {
  constexpr int kLanes = 70;
  std::vector<LaneRange> nodes;
  for (int lane = 0; lane < kLanes; ++lane) nodes.push_back({lane, lane + 1});
  MakePieces(kLanes, nodes);
  pieces_[2][5] = pieces_[40][5] = kInfinity;
  pieces_[3][6] = kNan;
  pieces_[66][kChunkElements] = kNan;
  Sum();
  EXPECT_EQ(chunks_[0].nonfinite_pieces, uint64_t{1} << 2 | uint64_t{1} << 40) << "at the first element alone";
  EXPECT_EQ(chunks_[1].nonfinite_pieces, uint64_t{1} << ChunkRecord::kLastPiece) << "one of those that share a bit";
  EXPECT_EQ(chunks_[2].nonfinite_pieces, 0u);
}

TEST_F(SumTest, TheLargestFloatsAreFiniteAndTheirSumIsNot) {
  MakePieces(2, {{0, 1}, {1, 2}});
  const float largest = std::numeric_limits<float>::max();
  pieces_[0][5] = largest;
  pieces_[1][5] = -largest;
  pieces_[0][6] = largest;
  pieces_[1][6] = 0;
  Sum();
  ExpectHostsSum("finite");
  pieces_[1][6] = largest;
  Sum();
  EXPECT_EQ(chunks_[0].nonfinite, kBegin + 6);
  EXPECT_EQ(chunks_[0].nonfinite_pieces, 0u) << "the pieces are";
}

// --- Updates.

const char* const kRules[] = {
    "sgd {} learning_rate: 0.1 weight_decay: 0.01",
    "sgd { momentum: 0.9 } learning_rate: 0.05 weight_decay: 0.01",
    "sgd { momentum: 0.9 nesterov: true } learning_rate: 0.05 weight_decay: 0.01 ema_decay: 0.9",
    "sgd {} learning_rate: 0.1 ema_decay: 0.5",
    "adam {} learning_rate: 0.01 weight_decay: 0.01",
    "adamw { beta2: 0.95 } learning_rate: 0.01 weight_decay: 0.1",
    "adamw {} learning_rate: 0.01 weight_decay: 0.1 ema_decay: 0.99 schedule { warmup_fraction: 0.2 cosine {} }",
};

class UpdateTest : public SumTest, public testing::WithParamInterface<const char*> {
 protected:
  static constexpr int64_t kElements = 6 * kChunkElements;
  static constexpr int kLanes = 3;  // 1/3 is no float

  UpdateTest() {
    optim::OptimizerConfig config;
    CHECK(google::protobuf::TextFormat::ParseFromString(GetParam(), &config));
    optimizer_ = std::make_unique<Optimizer>(config, Segments(), optim::RunLength{20, 5}, kLanes);
    weights_ = RandomValues(kElements, 100);
    for (size_t k = 0; k < optimizer_->state_names().size(); ++k) {
      state_.push_back(RandomValues(kElements, 200 + static_cast<uint32_t>(k)));
      for (float& value : state_.back()) value = std::abs(value);  // second moments are
    }
    device_weights_ = Put(weights_);
    for (const auto& array : state_) device_state_.push_back(Put(array));
  }

  /// Segments begin at multiples of 16 elements, as parameters do; padding between them, parameters that go on over
  /// chunk edges or have one element, frozen ones, and statistics from a chunk edge on.
  static std::vector<Segment> Segments() {
    return {{.begin = 16, .end = 4101, .weight_decay = 0.01f},
            {.begin = 4112, .end = 4113, .rate_factor = 0.5f},
            {.begin = 4128, .end = 4131, .frozen = true},
            {.begin = 4144, .end = 13008, .rate_factor = 3, .weight_decay = 0.02f},
            {.begin = 13008, .end = 13022, .rate_factor = 0.25f},
            {.begin = 13024, .end = 16000, .frozen = true},
            {.begin = 16384, .end = 16391, .statistic_momentum = 0.1f},
            {.begin = 16400, .end = 16402, .frozen = true, .statistic_momentum = 1},
            {.begin = 20480, .end = 24000, .statistic_momentum = 0.01f}};
  }

  void UpdateOnHost(uint64_t step, uint64_t updates, float scale, int64_t begin, std::span<const float> gradient) {
    Optimizer::Slice slice;
    slice.begin = begin;
    slice.gradient = gradient;
    slice.weights = weights_.data() + begin;
    for (auto& array : state_) slice.state.push_back(array.data() + begin);
    optimizer_->Update(step, updates, scale, slice);
  }
  DeviceSlice SliceAt(int64_t begin, int64_t size) {
    DeviceSlice slice;
    slice.begin = begin;
    slice.size = size;
    slice.weights = device_weights_ + begin;
    for (size_t k = 0; k < device_state_.size(); ++k) slice.state[k] = device_state_[k] + begin;
    return slice;
  }
  void ExpectHostsState(const std::string& what) {
    ExpectSameBits(device_weights_, weights_.data(), kElements, what + ", weights");
    for (size_t k = 0; k < state_.size(); ++k)
      ExpectSameBits(device_state_[k], state_[k].data(), kElements, what + ", " + optimizer_->state_names()[k]);
  }

  std::unique_ptr<Optimizer> optimizer_;
  std::vector<float> weights_;
  std::vector<std::vector<float>> state_;
  float* device_weights_ = nullptr;
  std::vector<float*> device_state_;
};

TEST_P(UpdateTest, HasTheBitsOfTheHostsInSlices) {
  constexpr float kScale = 0.37f;
  const StepOutcome* const outcome = Put(std::vector<StepOutcome>{{.gradient_scale = kScale}});
  const int64_t edges[] = {0, kChunkElements, 3 * kChunkElements, kElements};
  for (uint64_t step = 0; step < 3; ++step) {
    const std::vector<float> sums = RandomValues(kElements, static_cast<uint32_t>(step));
    const std::vector<SegmentRules> rules = optimizer_->Rules(step, step);
    const SegmentRules* const device_rules = Put(rules);
    const float* const device_sums = Put(sums);
    for (size_t i = 0; i + 1 < std::size(edges); ++i)
      kernels_->Update(*stream_, device_rules, static_cast<int>(rules.size()), outcome, device_sums + edges[i],
                       SliceAt(edges[i], edges[i + 1] - edges[i]));
    stream_->Synchronize();
    UpdateOnHost(step, step, kScale, 0, sums);
    ExpectHostsState("step " + std::to_string(step));
    if (HasFatalFailure()) return;
  }
}

TEST_P(UpdateTest, PaddingAndFrozenParametersKeepTheirBytes) {
  const std::vector<float> before = weights_;
  const std::vector<SegmentRules> rules = optimizer_->Rules(1, 1);
  kernels_->Update(*stream_, Put(rules), static_cast<int>(rules.size()), Put(std::vector<StepOutcome>(1)),
                   Put(RandomValues(kElements, 9)), SliceAt(0, kElements));
  stream_->Synchronize();
  std::vector<char> moves(kElements);
  for (const Segment& segment : Segments())
    for (int64_t i = segment.begin; i < segment.end; ++i)
      moves[static_cast<size_t>(i)] = !segment.frozen || segment.statistic_momentum >= 0;
  for (int64_t i = 0; i < kElements; ++i) {
    if (moves[static_cast<size_t>(i)]) continue;
    ASSERT_EQ(std::bit_cast<uint32_t>(device_weights_[i]), std::bit_cast<uint32_t>(before[static_cast<size_t>(i)]))
        << i;
  }
  EXPECT_NE(device_weights_[16384], before[16384]);
  EXPECT_NE(device_weights_[13000], before[13000]);
}

TEST_P(UpdateTest, ASkippedStepChangesNothing) {
  const std::vector<SegmentRules> rules = optimizer_->Rules(0, 0);
  kernels_->Update(*stream_, Put(rules), static_cast<int>(rules.size()), Put(std::vector<StepOutcome>{{.skip = 1}}),
                   Put(std::vector<float>(kElements, kNan)), SliceAt(0, kElements));
  stream_->Synchronize();
  ExpectHostsState("skipped");
}

TEST_P(UpdateTest, SumAndUpdateAtOnceIsTheSameAsOneAfterTheOther) {
  // A slice that begins in the middle of a parameter and ends in the middle of statistics.
  constexpr int64_t kFrom = 3 * kChunkElements;
  for (int lanes : {1, 2, 3, 8}) {
    std::vector<LaneRange> nodes;
    for (int lane = 0; lane < lanes; ++lane) nodes.push_back({lane, lane + 1});
    lanes == 3 ? MakeRoundedPieces(lanes, nodes) : MakePieces(lanes, nodes);
    const auto step = static_cast<uint64_t>(lanes);
    const std::vector<SegmentRules> rules = optimizer_->Rules(step, step);
    chunks_ = Put(std::vector<ChunkRecord>(kChunks));
    kernels_->SumAndUpdate(*stream_, sum_, Put(rules), static_cast<int>(rules.size()), SliceAt(kFrom, kSize), chunks_);
    stream_->Synchronize();
    const std::vector<float> sums = HostSum();
    UpdateOnHost(step, step, 1, kFrom, sums);
    ExpectHostsState(std::to_string(lanes) + " pieces");
    ExpectRecordsOf(sums, std::to_string(lanes) + " pieces");
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, UpdateTest, testing::ValuesIn(kRules));

}  // namespace
}  // namespace lockstep::cuda
