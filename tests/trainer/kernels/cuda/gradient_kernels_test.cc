// What a device does with gradients outside of programs, on an emulated one, against what the host does: the same bits.
#include "trainer/kernels/cuda/gradient_kernels.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/emulated_device.h"
#include "base/error.h"
#include "base/threads.h"
#include "comm/exchange.h"
#include "trainer/loop/lane_fold.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::cuda {
namespace {

using comm::kChunkElements;
using optim::ChunkRecord;
using optim::DeviceSlice;
using optim::FoldStep;
using optim::Optimizer;
using optim::PieceSum;
using optim::Segment;
using optim::SegmentRules;
using optim::StepOutcome;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Numbers whose sums depend on the order and on what happens to denormals: magnitudes over twelve decades, some that
/// are denormal or whose products are, zeros of both signs.
std::vector<float> RandomValues(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> exponent(-6, 6);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    const float value = normal(random);
    switch (random() % 16) {
      case 0:
        values[i] = std::bit_cast<float>(static_cast<uint32_t>(random()) & 0x807FFFFFu);  // denormal
        break;
      case 1:
        values[i] = value * std::numeric_limits<float>::min();
        break;
      case 2:
        values[i] = std::copysign(0.0f, value);
        break;
      default:
        values[i] = value * std::pow(10.0f, exponent(random));
    }
  }
  return values;
}

class GradientKernelsTest : public testing::Test {
 protected:
  GradientKernelsTest() { PrepareComputeThread(1, "test"); }

  /// Memory of the device with `values` in it; an emulated device's memory is the host's.
  template <typename T>
  T* Put(const std::vector<T>& values) {
    memory_.push_back(device_->Allocate(values.size() * sizeof(T), "values"));
    std::copy(values.begin(), values.end(), memory_.back()->As<T>());
    return memory_.back()->As<T>();
  }
  float* PutNothing(int64_t count) { return Put(std::vector<float>(static_cast<size_t>(count), kNan)); }

  std::unique_ptr<Device> device_ = MakeEmulatedDevice();
  std::vector<std::unique_ptr<DeviceMemory>> memory_;
  std::unique_ptr<DeviceStream> stream_ = device_->MakeStream();
  std::unique_ptr<optim::GradientKernels> kernels_ = MakeGradientKernels();
};

void ExpectSameBits(const float* values, const float* expected, int64_t count, const std::string& what) {
  if (std::memcmp(values, expected, static_cast<size_t>(count) * sizeof(float)) == 0) return;
  for (int64_t i = 0; i < count; ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected[i]))
        << what << ", element " << i << ": " << values[i] << " instead of " << expected[i];
  }
}

// --- Folding lanes.

struct Run {
  int lanes;
  LaneRange run;
};

class FoldTest : public GradientKernelsTest, public testing::WithParamInterface<Run> {
 protected:
  static constexpr int64_t kElements = 3 * kChunkElements;

  /// The steps of the fold over `nodes`, whose sums come to `pieces`.
  std::vector<FoldStep> PlanSteps(int lanes, const std::vector<LaneRange>& nodes, const std::vector<float*>& pieces) {
    std::vector<float*> stack;
    for (int i = loop::LaneFold::StackEntries(lanes, nodes); i > 0; --i) stack.push_back(PutNothing(kElements));
    std::vector<FoldStep> steps;
    for (const loop::FoldLeaf& leaf : loop::FoldLeaves(lanes, nodes)) {
      const auto entry = [&](int depth) {
        return depth == 0 ? pieces[leaf.node] : stack.at(static_cast<size_t>(depth - 1));
      };
      FoldStep& step = steps.emplace_back();
      step.target = entry(leaf.target());
      step.additions = leaf.additions;
      for (int k = 0; k < leaf.additions; ++k) step.addends[k] = entry(leaf.depth - 1 - k);
    }
    return steps;
  }
};

TEST_P(FoldTest, HasTheBitsOfTheHostsFold) {
  const auto [lanes, run] = GetParam();
  const std::vector<LaneRange> nodes = MaximalNodes(lanes, run);
  std::vector<std::vector<float>> expected(nodes.size(), std::vector<float>(kElements, kNan));
  std::vector<float*> pieces, host_pieces;
  for (std::vector<float>& arena : expected) {
    host_pieces.push_back(arena.data());
    pieces.push_back(PutNothing(kElements));
  }
  loop::LaneFold fold(lanes, nodes, host_pieces, kElements);
  const std::vector<FoldStep> steps = PlanSteps(lanes, nodes, pieces);
  FoldStep* const step = Put(std::vector<FoldStep>(1));
  float* const gradient = PutNothing(kElements);
  for (int lane = run.begin; lane < run.end; ++lane) {
    const std::vector<float> values = RandomValues(kElements, static_cast<uint32_t>(lane));
    std::copy(values.begin(), values.end(), gradient);
    *step = steps[static_cast<size_t>(lane - run.begin)];
    // Two buckets, the later first.
    kernels_->Fold(*stream_, step, gradient, kChunkElements, kElements);
    kernels_->Fold(*stream_, step, gradient, 0, kChunkElements);
    stream_->Synchronize();
    fold.Add(lane, 0, kElements, values.data());
  }
  for (size_t n = 0; n < nodes.size(); ++n)
    ExpectSameBits(pieces[n], expected[n].data(), kElements, testing::PrintToString(nodes[n].begin));
}

std::string NameOf(const testing::TestParamInfo<Run>& info) {
  const auto [lanes, run] = info.param;
  return "Lanes" + std::to_string(run.begin) + "To" + std::to_string(run.end) + "Of" + std::to_string(lanes);
}
INSTANTIATE_TEST_SUITE_P(Runs, FoldTest,
                         testing::Values(Run{1, {0, 1}}, Run{2, {0, 2}}, Run{8, {0, 8}}, Run{8, {0, 5}}, Run{8, {3, 8}},
                                         Run{7, {0, 7}}, Run{7, {2, 6}}, Run{64, {0, 64}}, Run{64, {1, 64}}),
                         NameOf);

TEST_F(GradientKernelsTest, FoldTouchesItsRangeAlone) {
  const int64_t elements = 3 * kChunkElements;
  float* const target = Put(std::vector<float>(static_cast<size_t>(elements), 1.0f));
  float* const gradient = Put(std::vector<float>(static_cast<size_t>(elements), 2.0f));
  FoldStep step;
  step.target = target;
  step.additions = 1;
  step.addends[0] = target;
  kernels_->Fold(*stream_, Put(std::vector<FoldStep>{step}), gradient, kChunkElements, 2 * kChunkElements);
  stream_->Synchronize();
  for (int64_t i = 0; i < elements; ++i) ASSERT_EQ(target[i], i / kChunkElements == 1 ? 3.0f : 1.0f) << i;
}

TEST_F(GradientKernelsTest, FoldLeavesALaneThatIsItsOwnPieceWhereItLies) {
  const std::vector<float> values = RandomValues(kChunkElements, 1);
  FoldStep step;
  step.target = Put(values);
  kernels_->Fold(*stream_, Put(std::vector<FoldStep>{step}), step.target, 0, kChunkElements);
  stream_->Synchronize();
  ExpectSameBits(step.target, values.data(), kChunkElements, "the piece");
}

// --- Sums over pieces.

/// Pieces of a slice, on the device and for the host's sum of them.
class SumTest : public GradientKernelsTest {
 protected:
  static constexpr int64_t kBegin = 5 * kChunkElements;
  static constexpr int64_t kSize = 2 * kChunkElements + 1000;  // the arena's end may be inside a chunk
  static constexpr int64_t kChunks = 3;

  /// One piece for each of `nodes`.
  void MakePieces(int lanes, const std::vector<LaneRange>& nodes) {
    pieces_.clear();
    std::vector<int32_t> order;
    for (size_t n = 0; n < nodes.size(); ++n) pieces_.push_back(Put(RandomValues(kSize, static_cast<uint32_t>(n))));
    order_ = LaneSumOrder(lanes, {0, lanes}, nodes);
    for (const LaneSumStep& step : order_) order.push_back(step.piece);
    sum_.pieces = Put(std::vector<const float*>(pieces_.begin(), pieces_.end()));
    sum_.order = Put(order);
    sum_.count = static_cast<int>(nodes.size());
  }
  std::vector<float> HostSum() const {
    std::vector<float> sum(kSize);
    comm::SliceSum({pieces_.begin(), pieces_.end()}, order_).Evaluate(0, sum);
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

  std::vector<float*> pieces_;
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
      }
    }
  }
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
    MakePieces(lanes, nodes);
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

// --- What a step has come to.

class ConcludeTest : public GradientKernelsTest {
 protected:
  static constexpr int64_t kCount = 2500, kParameters = 2300;  // chunks: more than a block has threads, twice

  ConcludeTest() {
    std::mt19937 random(1);
    std::uniform_real_distribution<double> exponent(-9, 9);
    for (ChunkRecord& record : records_) record.squares = std::pow(10.0, exponent(random));
  }
  StepOutcome Conclude(double clip_norm, bool skip_nonfinite, int64_t count = kCount,
                       int64_t parameters = kParameters) {
    StepOutcome* const outcome =
        Put(std::vector<StepOutcome>{{.norm = 5, .nonfinite = 5, .gradient_scale = 5, .skip = 5}});
    kernels_->Conclude(*stream_, Put(records_), count, parameters, clip_norm, skip_nonfinite, outcome);
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

TEST_F(ConcludeTest, ANormThatIsNoNumberScalesNothing) {
  records_[10].squares = kNan;
  const StepOutcome outcome = Conclude(0.5, true);
  EXPECT_EQ(outcome.gradient_scale, 1.0f) << "as Optimizer::ClipFactor";
  EXPECT_EQ(outcome.skip, 1);
}

}  // namespace
}  // namespace lockstep::cuda
