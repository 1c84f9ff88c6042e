#include "data/batches/loader.h"
#include "data/batches/make_batches.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <random>
#include <semaphore>
#include <thread>

#include "base/bfloat16.h"
#include "base/hash.h"
#include "tests/data/batches/turned_images.h"
#include "tests/data/test_files.h"

namespace {

std::atomic<int64_t> allocations = 0;

void* Allocate(size_t bytes, size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes == 0 ? 1 : bytes) != 0) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The whole program's: the test of allocations counts those of all threads.
void* operator new(size_t bytes) { return Allocate(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) { return Allocate(bytes, static_cast<size_t>(alignment)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace lockstep::data {
namespace {

/// A loader's options, and what its batches follow from.
struct LoaderSetup : Loader::Options {
  uint64_t seed = 0, global_batch = 0;
  int lanes = 1;

  Loader::Options Complete() const {
    Loader::Options options = *this;
    options.batches = MakeBatches(dataset, transform, {.seed = seed, .lanes = lanes, .global_batch = global_batch});
    return options;
  }
};

LoaderSetup Options(std::shared_ptr<const Dataset> dataset) {
  LoaderSetup options;
  options.transform = MakeAugmenting();
  options.dataset = std::move(dataset);
  options.seed = 5;
  options.global_batch = 12;
  options.lanes = 4;
  options.mine = {0, 4};
  options.end_step = 20;
  return options;
}

/// Hashes of rows by position.
using Rows = std::map<uint64_t, uint64_t>;

void AddRows(const LaneBatch& batch, Rows& rows) {
  for (int64_t row = 0; row < batch.rows(); ++row) {
    Hasher hasher;
    for (size_t i = 0; i < batch.fields.size(); ++i) {
      const Field& field = batch.fields[i];
      const auto bytes = static_cast<size_t>(field.shape.size() / field.shape[0] * SizeOf(field.dtype));
      hasher.Add(std::span<const std::byte>(batch.data[i] + static_cast<size_t>(row) * bytes, bytes));
    }
    EXPECT_TRUE(rows.emplace(batch.samples.first_position + static_cast<uint64_t>(row), hasher.Digest()).second);
  }
}

Rows RowsOf(const LoaderSetup& options) {
  Loader loader(options.Complete());
  Rows rows;
  for (uint64_t step = options.first_step; step < options.end_step; ++step) {
    for (int lane = options.mine.begin; lane < options.mine.end; ++lane) {
      const LaneBatch* batch = loader.Acquire(step, lane);
      EXPECT_EQ(batch->step, step);
      EXPECT_EQ(batch->lane, lane);
      AddRows(*batch, rows);
      loader.Release(batch);
    }
  }
  return rows;
}

/// What should stand at each position, from sampler, data set and transform alone.
Rows Expected(const LoaderSetup& options) {
  const Sampler sampler(options.dataset->size(), options.seed);
  Rows rows;
  Sample sample;
  std::vector<float> image(30);
  int32_t label = 0;
  const float mask = 1;
  std::byte* const pointers[] = {reinterpret_cast<std::byte*>(image.data()), reinterpret_cast<std::byte*>(&label)};
  for (uint64_t position = options.first_step * options.global_batch;
       position < options.end_step * options.global_batch; ++position) {
    const Sampler::Pick pick = sampler.At(position);
    options.dataset->Read(pick.epoch, pick.id, sample);
    options.transform->Apply(sample, pick.epoch, pick.id, true, 0, pointers);
    Hasher hasher;
    hasher.Add(std::as_bytes(std::span(image)));
    hasher.Add(std::as_bytes(std::span(&label, 1)));
    hasher.Add(std::as_bytes(std::span(&mask, 1)));
    rows[position] = hasher.Digest();
  }
  return rows;
}

TEST(Loader, DeliversTheSameBytesWithAnyThreadsAndPrefetch) {
  LoaderSetup options = Options(MakeImages());
  const Rows expected = Expected(options);
  for (int threads : {1, 2, 3}) {
    for (int prefetch : {0, 1, 2, 5, 100}) {
      options.threads = threads;
      options.prefetch_batches = prefetch;
      EXPECT_EQ(RowsOf(options), expected) << threads << " threads, prefetch " << prefetch;
    }
  }
}

TEST(Loader, AnyCutIntoLanesAndRanksGivesTheSameRowsAtTheSamePositions) {
  LoaderSetup options = Options(MakeImages());
  const Rows expected = Expected(options);
  for (int lanes : {1, 2, 3, 4, 6, 12}) {
    for (int ranks = 1; ranks <= lanes; ++ranks) {
      Rows rows;
      for (const LaneRange& mine : DealLanes(lanes, ranks)) {
        options.lanes = lanes;
        options.mine = mine;
        for (const auto& row : RowsOf(options)) EXPECT_TRUE(rows.insert(row).second);
      }
      EXPECT_EQ(rows, expected) << lanes << " lanes, " << ranks << " ranks";
    }
  }
}

TEST(Loader, StartsInTheMiddle) {
  LoaderSetup options = Options(MakeImages());
  options.first_step = 13;
  EXPECT_EQ(RowsOf(options), Expected(options));
}

TEST(Loader, ServesLanesInAnyOrderWithOneBatchEach) {
  LoaderSetup options = Options(MakeImages());
  options.prefetch_batches = 1;
  options.end_step = 6;
  Loader loader(options.Complete());
  Rows rows;
  for (int lane = 3; lane >= 0; --lane) {
    for (uint64_t step = 0; step < 6; ++step) {
      const LaneBatch* batch = loader.Acquire(step, lane);
      AddRows(*batch, rows);
      loader.Release(batch);
    }
  }
  EXPECT_EQ(rows, Expected(options));
}

TEST(Loader, ServesSeveralExecutorThreads) {
  LoaderSetup options = Options(MakeImages());
  options.threads = 2;
  options.end_step = 60;
  Loader loader(options.Complete());
  std::vector<Rows> rows(4);
  std::vector<std::thread> executors;
  for (int lane = 0; lane < 4; ++lane) {
    executors.emplace_back([&, lane] {
      for (uint64_t step = 0; step < options.end_step; ++step) {
        const LaneBatch* batch = loader.Acquire(step, lane);
        AddRows(*batch, rows[static_cast<size_t>(lane)]);
        loader.Release(batch);
      }
    });
  }
  for (std::thread& executor : executors) executor.join();
  Rows all;
  for (const Rows& some : rows) all.insert(some.begin(), some.end());
  EXPECT_EQ(all, Expected(options));
}

TEST(Loader, DeliveriesSatisfyTheLedgerWhoeverRanThem) {
  LoaderSetup options = Options(MakeImages());
  std::vector<uint64_t> chains;
  for (int ranks : {1, 3}) {
    std::vector<std::unique_ptr<Loader>> loaders;
    const auto deal = DealLanes(4, ranks);
    for (const LaneRange& mine : deal) {
      options.mine = mine;
      loaders.push_back(std::make_unique<Loader>(options.Complete()));
    }
    Ledger ledger(kSize);
    for (uint64_t step = 0; step < options.end_step; ++step) {
      std::vector<LaneDelivery> deliveries;
      for (size_t rank = 0; rank < deal.size(); ++rank) {
        for (int lane = deal[rank].begin; lane < deal[rank].end; ++lane) {
          const LaneBatch* batch = loaders[rank]->Acquire(step, lane);
          deliveries.push_back(batch->delivery);
          loaders[rank]->Release(batch);
        }
      }
      ledger.Add(step, deliveries, (step + 1) * options.global_batch);
    }
    chains.push_back(ledger.chain());
  }
  EXPECT_EQ(chains[0], chains[1]);
}

TEST(Loader, BatchesHaveShapesMaskAndAlignment) {
  Loader loader(Options(MakeImages()).Complete());
  const LaneBatch* batch = loader.Acquire(0, 2);
  ASSERT_EQ(batch->fields.size(), 3u);
  EXPECT_EQ(batch->fields[0].name, "image");
  EXPECT_EQ(batch->fields[0].shape, (Shape{3, 6, 5, 1}));
  EXPECT_EQ(batch->fields[1].shape, (Shape{3}));
  EXPECT_EQ(batch->fields[2].name, "mask");
  EXPECT_EQ(batch->fields[2].shape, (Shape{3}));
  EXPECT_EQ(batch->samples.first_position, 6u);
  for (std::byte* data : batch->data) EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % kBufferAlignment, 0u);
  loader.Release(batch);
}

TEST(Loader, AllocatesNothingOnceItIsWarm) {
  LoaderSetup options = Options(MakeImages());
  options.threads = 2;
  options.end_step = 400;
  Loader loader(options.Complete());
  const auto run = [&](uint64_t begin, uint64_t end) {
    for (uint64_t step = begin; step < end; ++step) {
      for (int lane = 0; lane < 4; ++lane) loader.Release(loader.Acquire(step, lane));
    }
  };
  run(0, 200);  // both threads have read something by now, or read it in the rest: a few allocations each
  const int64_t before = allocations;
  run(200, 400);
  EXPECT_LT(allocations - before, 10);
}

/// Fails, or waits, at one sample.
class TroublesomeDataset : public Dataset {
 public:
  TroublesomeDataset(uint64_t bad, std::counting_semaphore<>* gate) : inner_(MakeImages()), bad_(bad), gate_(gate) {}
  uint64_t size() const override { return inner_->size(); }
  std::span<const Field> fields() const override { return inner_->fields(); }
  uint64_t fingerprint() const override { return 0; }
  void Read(uint64_t epoch, uint64_t id, Sample& sample) const override {
    if (id == bad_ && gate_ != nullptr) gate_->acquire();
    if (id == bad_ && gate_ == nullptr) throw Error(ErrorKind::kData, "sample is spoilt", "somewhere", "get another");
    inner_->Read(epoch, id, sample);
  }

 private:
  std::shared_ptr<const Dataset> inner_;
  uint64_t bad_;
  std::counting_semaphore<>* gate_;
};

TEST(Loader, AcquireThrowsWhatReadingThrewAndGoesOnThrowingIt) {
  LoaderSetup options = Options(MakeImages());
  // The bad sample stands in lane 1 of step 1, and nowhere before.
  const uint64_t bad = Sampler(kSize, options.seed).At(12 + 3 + 1).id;
  options.dataset = std::make_shared<TroublesomeDataset>(bad, nullptr);
  options.threads = 2;
  Loader loader(options.Complete());
  for (int lane = 0; lane < 4; ++lane) loader.Release(loader.Acquire(0, lane));
  loader.Release(loader.Acquire(1, 0));
  for (int attempt = 0; attempt < 2; ++attempt) {
    ExpectError(ErrorKind::kData, {"somewhere: sample is spoilt"}, [&] { loader.Acquire(1, 1); });
  }
  loader.Release(loader.Acquire(1, 2));
}

TEST(Loader, ReadyTurnsTrueWhenTheBatchIsThere) {
  LoaderSetup options = Options(MakeImages());
  const Sampler sampler(kSize, options.seed);
  std::counting_semaphore<> gate(0);
  options.dataset = std::make_shared<TroublesomeDataset>(sampler.At(0).id, &gate);
  Loader loader(options.Complete());
  EXPECT_FALSE(loader.Ready(0, 0));
  gate.release(100);
  const LaneBatch* batch = loader.Acquire(0, 1);  // one thread fills lane 0 first
  EXPECT_TRUE(loader.Ready(0, 0));
  EXPECT_FALSE(loader.Ready(1, 0)) << "steps come in order";
  loader.Release(batch);
}

TEST(Loader, StopsWhileThreadsWaitAndWork) {
  for (int i = 0; i < 50; ++i) {
    LoaderSetup options = Options(MakeImages());
    options.threads = 3;
    options.end_step = 1 << 20;
    Loader loader(options.Complete());
    if (i % 2 == 0) loader.Release(loader.Acquire(0, 3));
  }
}

TEST(Loader, RoundsFieldsThatProgramsReadInBf16) {
  LoaderSetup options = Options(MakeImages());
  const Loader::Options plain = options.Complete();
  Loader::Options rounding = plain;
  rounding.rounded = {"image", "absent"};
  Loader floats(plain), rounded(rounding);
  for (uint64_t step = 0; step < options.end_step; ++step) {
    for (int lane = 0; lane < options.lanes; ++lane) {
      const LaneBatch *expected = floats.Acquire(step, lane), *found = rounded.Acquire(step, lane);
      ASSERT_EQ(found->fields[0].dtype, DType::kBF16);
      EXPECT_EQ(found->fields[0].shape, expected->fields[0].shape);
      const auto* wide = reinterpret_cast<const float*>(expected->data[0]);
      const auto* narrow = reinterpret_cast<const BFloat16*>(found->data[0]);
      for (int64_t i = 0; i < expected->fields[0].shape.size(); ++i)
        ASSERT_EQ(narrow[i].bits, BFloat16::From(wide[i]).bits) << "element " << i;
      for (size_t field = 1; field < expected->fields.size(); ++field) {
        EXPECT_EQ(found->fields[field].dtype, expected->fields[field].dtype) << "what is not named stays";
        const auto bytes = static_cast<size_t>(expected->fields[field].shape.size() * 4);
        EXPECT_EQ(std::memcmp(found->data[field], expected->data[field], bytes), 0);
      }
      floats.Release(expected);
      rounded.Release(found);
    }
  }
}

TEST(Loader, RefusesLanesLargerThanTheData) {
  LoaderSetup options = Options(MakeImages(2));
  ExpectError(ErrorKind::kUsage,
              {"train.global_batch: a lane has 3 samples (global_batch 12 / lanes 4), more than the 2"},
              [&] { Loader loader(options.Complete()); });
  options.dataset = MakeImages(3);
  EXPECT_EQ(RowsOf(options), Expected(options));
}

}  // namespace
}  // namespace lockstep::data
