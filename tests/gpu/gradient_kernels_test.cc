// What a device does with gradients outside of programs (folds, sums over pieces, norms, updates), against the emulated
// device: the same bits, also of denormals and infinities. (That those bits are the host's is shown in
// tests/trainer/kernels/cuda.)
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <span>

#include "base/bfloat16.h"
#include "base/threads.h"
#include "comm/exchange.h"
#include "tests/gpu/kits.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::gpu {
namespace {

using optim::ChunkRecord;
using optim::DeviceSlice;
using optim::FoldStep;
using optim::SegmentRules;
using optim::StepOutcome;

constexpr int64_t kBegin = 2 * kChunkElements;
constexpr int64_t kSize = 37 * kChunkElements + 1000;  // the arena's end may be inside a chunk
constexpr int64_t kChunks = 38;

/// Magnitudes over twelve decades, denormals and zeros of both signs.
std::vector<float> RandomValues(uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> exponent(-6, 6);
  std::vector<float> values(kSize);
  for (float& value : values) {
    value = normal(random) * std::pow(10.0f, exponent(random));
    if (random() % 16 == 0) value = std::bit_cast<float>(static_cast<uint32_t>(random()) & 0x807FFFFFu);
    if (random() % 16 == 0) value = std::copysign(0.0f, value);
  }
  return values;
}

/// Not-a-number comes in other bits from other processors; which ones is no one's promise.
void MakeComparable(float& value) {
  if (std::isnan(value)) value = std::numeric_limits<float>::quiet_NaN();
}
void MakeComparable(BFloat16& value) {
  if (std::isnan(value.Float())) value = BFloat16::From(std::numeric_limits<float>::quiet_NaN());
}
void MakeComparable(double& value) {
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
}
void MakeComparable(ChunkRecord& record) { MakeComparable(record.squares); }
void MakeComparable(StepOutcome& outcome) {
  MakeComparable(outcome.norm);
  MakeComparable(outcome.gradient_scale);
}

/// One device and what lies in its memory.
class Side {
 public:
  explicit Side(step::DeviceKit& kit) : kit_(kit) {}

  template <typename T>
  T* Put(const std::vector<T>& values) {
    const size_t bytes = values.size() * sizeof(T);
    memory_.push_back(kit_.device->Allocate(bytes, "values"));
    kit_.stream->Copy(memory_.back()->data(), values.data(), bytes);
    kit_.stream->Synchronize();
    return memory_.back()->template As<T>();
  }
  template <typename T>
  void Get(const T* from, size_t count, std::vector<std::byte>& to) {
    std::vector<T> values(count);
    kit_.stream->Copy(values.data(), from, count * sizeof(T));
    kit_.stream->Synchronize();
    for (T& value : values) MakeComparable(value);
    const auto bytes = std::as_bytes(std::span(values));
    to.insert(to.end(), bytes.begin(), bytes.end());
  }
  optim::GradientKernels& kernels() { return *kit_.kernels; }
  DeviceStream& stream() { return *kit_.stream; }

 private:
  step::DeviceKit& kit_;
  std::vector<std::unique_ptr<DeviceMemory>> memory_;
};

struct Case {
  std::string name;
  std::string optimizer;
  int pieces = 8;
  bool skip_nonfinite = false;
  bool one_pass = false;  ///< sums and updates in one kernel
  float broken = 0;       ///< not 0: an element of a piece
  DType wire = DType::kF32;
};

std::vector<SegmentRules> RulesOf(const Case& tried) {
  optim::OptimizerConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(tried.optimizer, &config));
  std::vector<optim::Segment> segments(4);
  const std::vector<int64_t> ends = {kBegin + 1003, kBegin + 5 * kChunkElements, kBegin + 20 * kChunkElements + 7,
                                     kBegin + kSize};
  for (size_t i = 0; i < segments.size(); ++i) {
    segments[i].begin = i == 0 ? kBegin : ends[i - 1];
    segments[i].end = ends[i];
    segments[i].weight_decay = i % 2 == 0 ? 0.01f : 0;
  }
  segments[1].frozen = true;
  segments[3].statistic_momentum = 0.1f;
  optim::RunLength length;
  length.total_steps = 100;
  length.steps_per_epoch = 10;
  return optim::Optimizer(config, segments, length, tried.pieces).Rules(17, 17);
}

/// An array of sums in device memory.
std::byte* PutSums(Side& side, const std::vector<float>& values, DType wire) {
  if (wire == DType::kF32) return reinterpret_cast<std::byte*>(side.Put(values));
  std::vector<BFloat16> rounded;
  for (const float value : values) rounded.push_back(BFloat16::From(value));
  return reinterpret_cast<std::byte*>(side.Put(rounded));
}

/// All that one step's kernels write.
std::vector<std::byte> Outcome(const Case& tried, step::DeviceKit& kit) {
  Side side(kit);
  std::vector<const std::byte*> pieces;
  for (int i = 0; i < tried.pieces; ++i) {
    std::vector<float> values = RandomValues(static_cast<uint32_t>(i));
    if (tried.broken != 0 && i == 1) values[5 * kChunkElements + 3] = tried.broken;
    pieces.push_back(PutSums(side, values, tried.wire));
  }
  const float* const gradient = side.Put(RandomValues(50));
  std::vector<int32_t> order = {0};
  for (int32_t i = 1; i < tried.pieces; ++i) order.insert(order.end(), {i, -1});
  const optim::PieceSum sum{side.Put(pieces), side.Put(order), tried.pieces, tried.wire};
  const std::vector<SegmentRules> rules = RulesOf(tried);
  const SegmentRules* const rules_there = side.Put(rules);
  DeviceSlice slice;
  slice.begin = kBegin;
  slice.size = kSize;
  slice.weights = side.Put(RandomValues(100));
  for (float*& state : slice.state) state = side.Put(std::vector<float>(kSize, 0.25f));
  float* const sums = side.Put(std::vector<float>(kSize, -1));
  ChunkRecord* const chunks = side.Put(std::vector<ChunkRecord>(kChunks));
  StepOutcome* const outcome = side.Put(std::vector<StepOutcome>(1));
  const auto segments = static_cast<int>(rules.size());

  FoldStep fold;
  fold.target = const_cast<std::byte*>(pieces[0]);
  fold.additions = 2;
  fold.addends[0] = pieces[1 % pieces.size()];
  fold.addends[1] = pieces[0];
  side.kernels().Fold(side.stream(), side.Put(std::vector<FoldStep>{fold}), tried.wire, gradient,
                      {kChunkElements, kSize});
  if (tried.one_pass) {
    side.kernels().SumAndUpdate(side.stream(), sum, rules_there, segments, slice, chunks);
  } else {
    side.kernels().Sum(side.stream(), sum, slice, sums, chunks);
    side.kernels().Conclude(side.stream(), chunks, kChunks, kChunks - 2,
                            {.clip_norm = 0.5, .skip_nonfinite = tried.skip_nonfinite}, outcome);
    side.kernels().Update(side.stream(), rules_there, segments, outcome, sums, slice);
  }
  std::vector<std::byte> written;
  if (tried.wire == DType::kF32) {
    side.Get(reinterpret_cast<const float*>(pieces[0]), kSize, written);
  } else {
    side.Get(reinterpret_cast<const BFloat16*>(pieces[0]), kSize, written);
  }
  side.Get(slice.weights, kSize, written);
  for (float* state : slice.state) side.Get(state, kSize, written);
  side.Get(sums, kSize, written);
  side.Get(chunks, kChunks, written);
  side.Get(outcome, 1, written);
  return written;
}

class GradientKernelsTest : public testing::TestWithParam<Case> {};

TEST_P(GradientKernelsTest, HasTheBitsOfTheEmulatedDevice) {
  PrepareComputeThread(1, "test");
  const std::vector<std::byte> expected = Outcome(GetParam(), *OpenEmulatedKit());
  const std::vector<std::byte> actual = Outcome(GetParam(), Kit());
  ASSERT_EQ(actual.size(), expected.size());
  const auto differs = std::mismatch(actual.begin(), actual.end(), expected.begin()).first;
  EXPECT_TRUE(differs == actual.end()) << "from byte " << differs - actual.begin() << " of " << actual.size();
  EXPECT_TRUE(Outcome(GetParam(), Kit()) == actual) << "a second run gives other bits";
}

const std::string kRate = "learning_rate: 0.01 weight_decay: 0.01 ";
INSTANTIATE_TEST_SUITE_P(
    Cases, GradientKernelsTest,
    testing::Values(Case{"plain", "sgd {} " + kRate}, Case{"one_piece", "sgd { momentum: 0.9 } " + kRate, 1},
                    Case{"momentum", "sgd { momentum: 0.9 nesterov: true } " + kRate, 7},
                    Case{"momentum_in_one_pass", "sgd { momentum: 0.9 } " + kRate, 8, false, true},
                    Case{"adamw", "adamw {} clip_norm: 0.5 " + kRate, 64},
                    Case{"adam", "adam {} ema_decay: 0.9 " + kRate},
                    Case{"adamw_in_one_pass", "adamw {} ema_decay: 0.9 " + kRate, 64, false, true},
                    Case{"skipped", "adamw {} " + kRate, 8, true, false, std::numeric_limits<float>::quiet_NaN()},
                    Case{"infinite", "sgd {} " + kRate, 8, false, false, std::numeric_limits<float>::infinity()},
                    Case{"bf16_sums", "adamw {} " + kRate, 7, false, false, 0, DType::kBF16},
                    Case{"bf16_sums_in_one_pass", "adamw {} " + kRate, 8, false, true, 0, DType::kBF16}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace lockstep::gpu
