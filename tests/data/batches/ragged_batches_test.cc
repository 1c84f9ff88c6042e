// Batches of samples that differ in length: every sample once an epoch, in lanes that pad little, whoever asks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "data/batches/blocks.h"
#include "data/batches/ledger.h"
#include "data/batches/length_classes.h"
#include "data/batches/make_batches.h"
#include "data/dataset.h"
#include "data/transform.h"
#include "tests/data/test_files.h"

namespace lockstep::data {
namespace {

/// Sample i is as long as `lengths` says; its labels are one more.
class Lines : public Dataset {
 public:
  explicit Lines(std::vector<int64_t> lengths) : lengths_(std::move(lengths)) {}
  uint64_t size() const override { return lengths_.size(); }
  std::span<const Field> fields() const override { return {&field_, 1}; }
  const SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override { return 0; }
  void Measure(uint64_t, uint64_t id, SampleSize& size) const override {
    ++measured_;
    size.labels = static_cast<uint64_t>(lengths_[id]) + 1;
    size.lengths = {lengths_[id]};
  }
  void Read(uint64_t, uint64_t, Sample&) const override {}
  /// How often samples were measured.
  uint64_t measured() const { return measured_; }

 protected:
  SourceTraits traits_{.labels = 0, .ragged = true};

 private:
  mutable std::atomic<uint64_t> measured_ = 0;
  const std::vector<int64_t> lengths_;
  const Field field_{"line", DType::kI32, Shape{-1}};
};

/// All samples are longer in the second epoch than in the first, and so on to the fourth.
class Lengthening final : public Lines {
 public:
  explicit Lengthening(std::vector<int64_t> lengths) : Lines(std::move(lengths)) { traits_.resized = true; }
  void Measure(uint64_t epoch, uint64_t id, SampleSize& size) const override {
    Lines::Measure(0, id, size);
    size.lengths[0] += 15 * static_cast<int64_t>(std::min(epoch, uint64_t{3}));
  }
  void MeasureLargest(uint64_t id, SampleSize& size) const override { Measure(3, id, size); }
};

/// Augmentation lengthens samples of odd epochs by one.
class Growing final : public Transform {
 public:
  explicit Growing(bool grows) : grows_(grows) {}
  std::span<const Field> fields() const override { return {&field_, 1}; }
  int64_t SequenceLength(std::span<const int64_t> lengths, uint64_t epoch, uint64_t, bool augment) const override {
    return lengths[0] + (grows_ && augment && epoch % 2 == 1 ? 1 : 0);
  }
  bool stretches() const override { return grows_; }
  int64_t LongestSequence(std::span<const int64_t> lengths) const override { return lengths[0] + (grows_ ? 1 : 0); }
  void Apply(const Sample&, uint64_t, uint64_t, bool, int64_t, std::span<std::byte* const>) const override {}

 private:
  const bool grows_;
  const Field field_{"line", DType::kI32, Shape{-1}};
};

std::vector<int64_t> SomeLengths(int count) {
  std::vector<int64_t> lengths;
  for (int i = 0; i < count; ++i) lengths.push_back(1 + i * 37 % 41);
  return lengths;
}

constexpr int kSamples = 203;

struct World {
  std::shared_ptr<const Dataset> dataset;
  std::shared_ptr<const Transform> transform;
  BatchOptions options;
  std::unique_ptr<Batches> batches;
};

World MakeWorld(const BatchOptions& options, bool grows = true) {
  World world{std::make_shared<Lines>(SomeLengths(kSamples)), std::make_shared<Growing>(grows), options, nullptr};
  world.batches = MakeBatches(world.dataset, world.transform, options);
  return world;
}

int64_t LengthOf(const World& world, Sampler::Pick pick) {
  std::vector<int64_t> lengths;
  world.dataset->Lengths(pick.epoch, pick.id, lengths);
  return world.transform->SequenceLength(lengths, pick.epoch, pick.id, true);
}

const BatchOptions kKinds[] = {{.seed = 3, .lanes = 1, .global_batch = 8},
                               {.seed = 3, .lanes = 4, .global_batch = 12},
                               {.seed = 3, .lanes = 1, .batch_tokens = 130},
                               {.seed = 3, .lanes = 5, .batch_tokens = 200}};

/// All kinds, from `leg` on.
std::vector<BatchOptions> KindsFrom(const Leg& leg) {
  std::vector<BatchOptions> kinds(std::begin(kKinds), std::end(kKinds));
  for (BatchOptions& kind : kinds) kind.leg = leg;
  return kinds;
}

void ExpectEachSampleOnceAnEpoch(const BatchOptions& options) {
  const World world = MakeWorld(options);
  Ledger ledger(kSamples);
  const uint64_t first_epoch = options.leg.first_position / kSamples;
  ledger.RestoreForEpoch(ledger.Serialize(), first_epoch);
  std::map<uint64_t, std::multiset<uint64_t>> epochs;
  LaneSamples samples;
  uint64_t position = options.leg.first_position;
  const uint64_t end = world.batches->Steps(3 + static_cast<double>(first_epoch));
  for (uint64_t step = options.leg.first_step; step < end; ++step) {
    EXPECT_EQ(world.batches->FirstPosition(step), position);
    std::vector<LaneDelivery> deliveries;
    for (int lane = 0; lane < options.lanes; ++lane) {
      world.batches->Lane(step, lane, samples);
      EXPECT_EQ(samples.first_position, position);
      deliveries.push_back({.first_epoch = position / kSamples});
      for (const Sampler::Pick& pick : samples.picks) {
        EXPECT_EQ(pick.epoch, position / kSamples);
        epochs[pick.epoch].insert(pick.id);
        deliveries.back().Add(pick.epoch, pick.id);
        ++position;
      }
    }
    ledger.Add(step, deliveries, position);  // throws where an epoch is not whole
  }
  EXPECT_GE(position, (3 + first_epoch) * kSamples - 12);
  for (uint64_t epoch = first_epoch; epoch < first_epoch + 2; ++epoch) {
    EXPECT_EQ(epochs[epoch].size(), static_cast<size_t>(kSamples));
    EXPECT_EQ(std::set<uint64_t>(epochs[epoch].begin(), epochs[epoch].end()).size(), static_cast<size_t>(kSamples));
  }
}

TEST(RaggedBatches, DeliverEachSampleOnceAnEpochAndPositionsWithoutAGap) {
  for (const Leg& leg : {Leg{}, Leg{17, 2 * kSamples}})
    for (const BatchOptions& options : KindsFrom(leg)) ExpectEachSampleOnceAnEpoch(options);
}

TEST(RaggedBatches, ShapesHoldTheirSamplesAndAreTheLeastThatDo) {
  for (const BatchOptions& options : kKinds) {
    const World world = MakeWorld(options);
    LaneSamples samples;
    for (uint64_t step = 0; step < world.batches->Steps(2); ++step)
      for (int lane = 0; lane < options.lanes; ++lane) {
        world.batches->Lane(step, lane, samples);
        const auto shapes = world.batches->shapes();
        const BatchShape shape = shapes[static_cast<size_t>(samples.shape)];
        int64_t longest = 0;
        for (const Sampler::Pick& pick : samples.picks) longest = std::max(longest, LengthOf(world, pick));
        EXPECT_LE(longest, shape.length);
        EXPECT_LE(samples.picks.size(), static_cast<size_t>(shape.rows));
        if (samples.shape > 0) {
          EXPECT_GT(longest, shapes[static_cast<size_t>(samples.shape) - 1].length);
        }
      }
  }
}

TEST(RaggedBatches, SamplesThatAreLongerInLaterEpochsFit) {
  for (const BatchOptions& options : kKinds) {
    const auto dataset = std::make_shared<Lengthening>(SomeLengths(kSamples));
    const auto batches = MakeBatches(dataset, std::make_shared<Growing>(false), options);
    EXPECT_EQ(batches->shapes().back().length, LengthClassOf(41 + 3 * 15));
    LaneSamples samples;
    for (uint64_t step = 0; step < batches->Steps(4); ++step)
      for (int lane = 0; lane < options.lanes; ++lane) batches->Lane(step, lane, samples);
  }
}

TEST(RaggedBatches, StepsAreTheSameWhereverOneBegins) {
  for (const BatchOptions& options : kKinds) {
    const World world = MakeWorld(options), other = MakeWorld(options);
    const uint64_t steps = world.batches->Steps(3);
    LaneSamples samples, again;
    for (uint64_t k = 0; k < steps; ++k) {
      const uint64_t step = k * 7 % steps;  // in another order
      EXPECT_EQ(world.batches->Denominators(step), other.batches->Denominators(step));
      uint64_t labels = 0, length = 0;
      for (int lane = options.lanes - 1; lane >= 0; --lane) {
        world.batches->Lane(step, lane, samples);
        other.batches->Lane(step, lane, again);
        EXPECT_EQ(samples.shape, again.shape);
        ASSERT_EQ(samples.picks.size(), again.picks.size());
        for (size_t i = 0; i < samples.picks.size(); ++i) {
          EXPECT_EQ(samples.picks[i].id, again.picks[i].id);
          labels += world.dataset->labels(samples.picks[i].epoch, samples.picks[i].id);
          length += static_cast<uint64_t>(LengthOf(world, samples.picks[i]));
        }
      }
      EXPECT_EQ(world.batches->Denominators(step), AllLosses(labels));
      EXPECT_EQ(world.batches->TotalLength(step), length);
    }
  }
}

TEST(RaggedBatches, OfTokensStayWithinTheirNumberAndChangeWithEpochAndSeed) {
  const World world = MakeWorld(kKinds[2], /*grows=*/false);
  BatchOptions options = kKinds[2];
  options.seed = 4;
  const World reseeded = MakeWorld(options, /*grows=*/false);
  const uint64_t rows = world.batches->Steps(1);
  EXPECT_EQ(world.batches->Steps(2), 2 * rows);
  EXPECT_EQ(world.batches->Steps(1.5), rows + rows / 2);
  int same_epoch = 0, same_seed = 0;
  LaneSamples samples, next, other;
  for (uint64_t step = 0; step < rows; ++step) {
    world.batches->Lane(step, 0, samples);
    world.batches->Lane(step + rows, 0, next);
    reseeded.batches->Lane(step, 0, other);
    int64_t longest = 0;
    for (const Sampler::Pick& pick : samples.picks) longest = std::max(longest, LengthOf(world, pick));
    EXPECT_LE(static_cast<int64_t>(samples.picks.size()) * LengthClassOf(longest), 130);
    same_epoch += samples.picks.front().id == next.picks.front().id ? 1 : 0;
    same_seed += samples.picks.front().id == other.picks.front().id ? 1 : 0;
  }
  EXPECT_LT(same_epoch, static_cast<int>(rows) / 4);
  EXPECT_LT(same_seed, static_cast<int>(rows) / 4);
}

TEST(RaggedBatches, PadLittle) {
  const World pooled = MakeWorld({.seed = 3, .lanes = 1, .global_batch = 8}, false);
  int64_t real = 0, padded = 0;
  LaneSamples samples;
  for (uint64_t step = 0; step < pooled.batches->Steps(1); ++step) {
    pooled.batches->Lane(step, 0, samples);
    const BatchShape shape = pooled.batches->shapes()[static_cast<size_t>(samples.shape)];
    padded += shape.rows * shape.length;
    for (const Sampler::Pick& pick : samples.picks) real += LengthOf(pooled, pick);
  }
  EXPECT_LT(static_cast<double>(padded), 1.35 * static_cast<double>(real));
}

/// No sample has a label.
class Silence final : public Lines {
 public:
  using Lines::Lines;
  void Measure(uint64_t epoch, uint64_t id, SampleSize& size) const override {
    Lines::Measure(epoch, id, size);
    size.labels = 0;
  }
  SampleText Describe(uint64_t, uint64_t id) const override { return {.line = fmt::format("lines:{}", id + 1)}; }
};

TEST(RaggedBatches, OfTokensCountTheStepsOfManyEpochsAtOnceWhereLengthsStay) {
  const BatchOptions options{.seed = 3, .lanes = 5, .batch_tokens = 200};
  const auto lines = std::make_shared<Lines>(SomeLengths(kSamples));
  const auto batches = MakeBatches(lines, std::make_shared<Growing>(false), options);
  const uint64_t rows = batches->Steps(1), at_start = lines->measured();
  constexpr uint64_t kEpochs = 100000;
  EXPECT_EQ(batches->Steps(kEpochs), kEpochs * rows);
  EXPECT_EQ(lines->measured(), at_start) << "no sample is looked at again";
  EXPECT_EQ(batches->FirstPosition(kEpochs * rows), kEpochs * kSamples) << "where a run goes on after as many";
  EXPECT_EQ(lines->measured(), at_start + kSamples) << "the table of its own epoch alone is made";
}

TEST(RaggedBatches, OfTokensCountTheRowsOfEachEpochsTable) {
  for (const uint64_t tokens : {130, 200, 1000, 7000}) {
    for (const bool grows : {false, true}) {
      const World world = MakeWorld({.seed = 3, .lanes = 1, .batch_tokens = tokens}, grows);
      for (const double epochs : {1, 2, 3}) {
        const uint64_t end = world.batches->Steps(epochs), positions = static_cast<uint64_t>(epochs) * kSamples;
        EXPECT_EQ(world.batches->FirstPosition(end), positions) << tokens << " tokens";
        EXPECT_LT(world.batches->FirstPosition(end - 1), positions) << tokens << " tokens";
      }
    }
  }
}

TEST(RaggedBatches, OfNoLabelsDivideByOne) {
  const auto transform = std::make_shared<Growing>(false);
  const auto silence = std::make_shared<Silence>(SomeLengths(kSamples));
  for (const BatchOptions& options : {BatchOptions{.seed = 1, .lanes = 2, .global_batch = 4},
                                      BatchOptions{.seed = 1, .lanes = 2, .batch_tokens = 200}})
    EXPECT_EQ(MakeBatches(silence, transform, options)->Denominators(3), AllLosses(1));
}

TEST(RaggedBatches, NameTheLineOfASampleThatDoesNotFit) {
  ExpectError(ErrorKind::kData, {"sample 1 (from 0), lines:2, may be 42 long"}, [] {
    MakeBatches(std::make_shared<Silence>(std::vector<int64_t>{3, 42, 5}), std::make_shared<Growing>(false),
                {.seed = 1, .lanes = 1, .batch_tokens = 40});
  });
}

TEST(RaggedBatches, RefuseWhatDoesNotFit) {
  ExpectError(ErrorKind::kData, {"train.batch_tokens: sample", "42 long, padded to 48, and a batch has 40"},
              [] { MakeWorld({.seed = 1, .lanes = 1, .batch_tokens = 40}); });
}

TEST(Blocks, HoldEverySampleOnceSortedByLength) {
  const Lines lines(SomeLengths(kSamples));
  const Growing transform(false);
  const Dataset* const splits[] = {&lines};
  const Blocks blocks(lines, transform, EvaluationShapes(splits, transform, 16));
  std::multiset<uint64_t> ids;
  LaneSamples samples;
  int64_t longest = 0;
  std::vector<int64_t> lengths;
  for (int64_t block = 0; block < blocks.count(); ++block) {
    blocks.Read(block, samples);
    const BatchShape shape = blocks.shapes()[static_cast<size_t>(samples.shape)];
    EXPECT_LE(static_cast<int64_t>(samples.picks.size()), shape.rows);
    for (const Sampler::Pick& pick : samples.picks) {
      lines.Lengths(0, pick.id, lengths);
      EXPECT_GE(lengths[0], longest);
      EXPECT_LE(lengths[0], shape.length);
      longest = lengths[0];
      ids.insert(pick.id);
    }
  }
  EXPECT_EQ(ids.size(), static_cast<size_t>(kSamples));
  EXPECT_EQ(std::set<uint64_t>(ids.begin(), ids.end()).size(), static_cast<size_t>(kSamples));
}

TEST(LengthClasses, AreFewAndWasteAQuarterAtMost) {
  EXPECT_EQ(LengthClassesBetween(1, 130),
            (std::vector<int64_t>{4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160}));
  for (int64_t length = 1; length < 5000; ++length) {
    const int64_t length_class = LengthClassOf(length);
    EXPECT_GE(length_class, length);
    EXPECT_EQ(LengthClassOf(length_class), length_class);
    if (length > 16) {
      EXPECT_LE(static_cast<double>(length_class), 1.25 * static_cast<double>(length));
    }
  }
}

}  // namespace
}  // namespace lockstep::data
