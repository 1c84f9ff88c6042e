// What goes on beside what in a step on a device: its kernels wait for what has to come while they run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "comm/local/local_communicator.h"
#include "tests/base/temporary_folder.h"
#include "tests/trainer/run/device_setups.h"
#include "tests/trainer/run/late_backend.h"
#include "trainer/run/train.h"

namespace lockstep::run {
namespace {

constexpr int kSteps = 6;

/// What a rank's flight recorder has of its exchanges. Its executor sends up one batch a step, that of the next step at
/// the earliest; the first step's in that step.
struct Story {
  explicit Story(const comm::FlightRecord& record) {
    bool inside = false;
    for (const comm::Event& event : record.events()) {
      const bool exchange = event.kind() == comm::CollectiveKind::EXCHANGE;
      if (exchange && event.type() == comm::Event::BEGIN) inside = true;
      if (inside && event.type() == comm::Event::EXECUTOR && event.idle()) ++batches;
      if (exchange && event.type() == comm::Event::ENTER && batches >= event.step() + 2) ahead.push_back(event.step());
      if (exchange && event.type() == comm::Event::LEAVE) inside = false;
    }
  }

  int batches = 0;             ///< sent up
  std::vector<int64_t> ahead;  ///< steps whose next batch had been sent up when the host saw the end of their lanes
};

/// Holds up a device's work, in all steps but the last, until something has happened; not for ever.
class Gate {
 public:
  explicit Gate(std::function<bool(int64_t step)> open) : open_(std::move(open)) {}

  /// On a stream, in front of what is held up.
  void Pass(int64_t step) {
    constexpr auto kPatience = std::chrono::seconds(10);
    const auto begin = std::chrono::steady_clock::now();
    while (step < kSteps - 1 && !timed_out_ && !open_(step)) {
      timed_out_ = std::chrono::steady_clock::now() - begin > kPatience;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  bool timed_out() const { return timed_out_; }

 private:
  const std::function<bool(int64_t)> open_;
  std::atomic<bool> timed_out_ = false;
};

/// Which lane of a rank a device is at, told by its kernels as they begin: the training program's first one was
/// prepared first, and has run once before there are lanes.
class LaneCount {
 public:
  void Begin(int kernel) { begun_ += kernel == 0; }
  int64_t lane() const { return begun_ - 2; }  ///< since the first step; < 0: none has begun

 private:
  std::atomic<int64_t> begun_ = 0;
};

using Note = std::function<void(DeviceStream& stream)>;
struct Notes {
  Note fold = [](DeviceStream&) {};
  Note update = [](DeviceStream&) {};  ///< a fused one
  Note conclusion = [](DeviceStream&) {};
};

/// Gradient kernels, and word of some when they have been enqueued.
class NotingKernels final : public optim::GradientKernels {
 public:
  NotingKernels(std::unique_ptr<optim::GradientKernels> inner, Notes notes)
      : inner_(std::move(inner)), notes_(std::move(notes)) {}

  void Fold(DeviceStream& stream, const optim::FoldStep* step, DType wire, const float* gradient,
            ElementRange range) override {
    inner_->Fold(stream, step, wire, gradient, range);
    notes_.fold(stream);
  }
  void SumAndUpdate(DeviceStream& stream, const optim::PieceSum& sum, const optim::SegmentRules* rules, int segments,
                    const optim::DeviceSlice& slice, optim::ChunkRecord* chunks) override {
    inner_->SumAndUpdate(stream, sum, rules, segments, slice, chunks);
    notes_.update(stream);
  }
  void Sum(DeviceStream& stream, const optim::PieceSum& sum, const optim::DeviceSlice& slice, float* sums,
           optim::ChunkRecord* chunks) override {
    inner_->Sum(stream, sum, slice, sums, chunks);
  }
  void Update(DeviceStream& stream, const optim::SegmentRules* rules, int segments, const optim::StepOutcome* outcome,
              const float* sums, const optim::DeviceSlice& slice) override {
    inner_->Update(stream, rules, segments, outcome, sums, slice);
  }
  void Hash(DeviceStream& stream, const optim::DeviceSlice& slice, uint64_t* hashes) override {
    inner_->Hash(stream, slice, hashes);
  }
  void CompareHashes(DeviceStream& stream, const optim::DeviceSlice& slice, const uint64_t* hashes,
                     optim::ChunkRecord* chunks) override {
    inner_->CompareHashes(stream, slice, hashes, chunks);
  }
  void Conclude(DeviceStream& stream, const optim::ChunkRecord* chunks, int64_t count, int64_t parameter_chunks,
                const optim::ConclusionRules& rules, optim::StepOutcome* outcome) override {
    inner_->Conclude(stream, chunks, count, parameter_chunks, rules, outcome);
    notes_.conclusion(stream);
  }

 private:
  const std::unique_ptr<optim::GradientKernels> inner_;
  const Notes notes_;
};

void Observe(step::DeviceKit& kit, Notes notes) {
  kit.kernels = std::make_unique<NotingKernels>(std::move(kit.kernels), std::move(notes));
}

TrainSetup WithLanes(int lanes) {
  return {.train = fmt::format("steps: {} global_batch: 12 lanes: {}", kSteps, lanes), .model = kWide};
}

/// The last work of a step is held up until the next one's first lane has been enqueued.
struct HeldStep {
  std::atomic<int64_t> concluded = 0;
  std::unique_ptr<Gate> gate;

  void Hold(Job& job, int lanes_of_rank) {
    step::DeviceKit& kit = *job.place.device;
    // The packing and the lanes of each step are what is run of captured work before the evaluation.
    const auto& stream = static_cast<EmulatedStream&>(*kit.stream);
    gate = std::make_unique<Gate>(
        [&stream, lanes_of_rank](int64_t step) { return stream.runs() >= (step + 1) * (lanes_of_rank + 1) + 2; });
    Observe(kit, {.conclusion = [this](DeviceStream& there) {
              static_cast<EmulatedStream&>(there).Enqueue([this] { gate->Pass(concluded++); });
            }});
  }
};

/// `gate` in front of each kernel of a lane; one lane a rank.
void HoldLanes(Job& job, LaneCount& count, Gate& gate) {
  job.place.backend = job.place.device->backend = MakeLateBackend(*job.place.device, [&](int kernel) {
    count.Begin(kernel);
    if (count.lane() >= 0) gate.Pass(count.lane());
  });
}

class DeviceOrderTest : public testing::Test {
 protected:
  ~DeviceOrderTest() override { StartLog("", true, 0); }

  /// Trains with what `change` makes of the job; the flight record of rank 0.
  comm::FlightRecord Train(const TrainSetup& setup, int ranks, const std::function<void(Job&)>& change) {
    comm::FlightRecord record;
    const std::string folder = temporary_ / std::to_string(runs_++);
    comm::RunLocalWorld({.world_size = ranks}, [&](comm::Communicator& comm) {
      Job job = MakeSmallJob(setup, comm);
      job.place.executors = 1;
      change(job);
      run::Train(job, MakeSmallStart(job, folder));
      if (comm.rank() == 0) record = comm.recorder().Record("");
    });
    return record;
  }

  /// That each next batch goes up while lanes, one a rank, wait for it.
  void ExpectBatchesAhead(const TrainSetup& setup, int ranks) {
    std::vector<std::unique_ptr<Gate>> gates(static_cast<size_t>(ranks));
    std::vector<LaneCount> counts(static_cast<size_t>(ranks));
    const comm::FlightRecord record = Train(setup, ranks, [&](Job& job) {
      const auto rank = static_cast<size_t>(job.place.comm->rank());
      gates[rank] = std::make_unique<Gate>([&recorder = job.place.comm->recorder()](int64_t step) {
        return Story(recorder.Record("")).batches >= step + 2;
      });
      HoldLanes(job, counts[rank], *gates[rank]);
    });
    EXPECT_THAT(Story(record).ahead, testing::ElementsAre(0, 1, 2, 3, 4));
    for (const auto& gate : gates) EXPECT_FALSE(gate->timed_out());
  }

  /// That the device goes from a step to the next one's first lane while the host does not know yet what came of it.
  void ExpectLanesAhead(const TrainSetup& setup, int ranks, int lanes_of_rank) {
    std::vector<HeldStep> held(static_cast<size_t>(ranks));
    Train(setup, ranks, [&](Job& job) { held[static_cast<size_t>(job.place.comm->rank())].Hold(job, lanes_of_rank); });
    for (const HeldStep& rank : held) {
      EXPECT_EQ(rank.concluded, kSteps);
      EXPECT_FALSE(rank.gate->timed_out()) << "the host waits for the end of a step first";
    }
  }

  TemporaryFolder temporary_;
  int runs_ = 0;
};

TEST_F(DeviceOrderTest, TheNextBatchGoesUpBesideTheLanes) { ExpectBatchesAhead(OnDevices(WithLanes(1)), 1); }

TEST_F(DeviceOrderTest, TheNextBatchGoesUpBesideTheLanesWhereTheHostWaitsForExchanges) {
  ExpectBatchesAhead(OnDevices(WithLanes(2)), 2);
}

TEST_F(DeviceOrderTest, TheNextBatchGoesUpBesideTheLanesWhereTheHostDoesNotWaitForExchanges) {
  ExpectBatchesAhead(OnConnectedDevices(WithLanes(2)), 2);
}

TEST_F(DeviceOrderTest, TheNextFirstLaneIsEnqueuedBehindTheUpdate) {
  ExpectLanesAhead(OnDevices(WithLanes(1)), 1, 1);
  ExpectLanesAhead(OnDevices(WithLanes(4)), 1, 4);
}

TEST_F(DeviceOrderTest, TheNextFirstLaneIsEnqueuedBehindTheUpdateWhereTheHostWaitsForExchanges) {
  ExpectLanesAhead(OnDevices(WithLanes(4)), 2, 2);
}

TEST_F(DeviceOrderTest, TheNextFirstLaneIsEnqueuedBehindTheUpdateWhereTheHostDoesNotWaitForExchanges) {
  ExpectLanesAhead(OnConnectedDevices(WithLanes(2)), 2, 1);
  ExpectLanesAhead(OnConnectedDevices(WithLanes(4)), 2, 2);
}

TEST_F(DeviceOrderTest, UpdatesOfOneRankAreEnqueuedBesideItsLanes) {
  std::atomic<int64_t> updates = 0;  // one bucket, so one a step
  LaneCount count;
  std::unique_ptr<Gate> gate;
  Train(OnDevices(WithLanes(1)), 1, [&](Job& job) {
    Observe(*job.place.device, {.update = [&](DeviceStream&) { ++updates; }});
    gate = std::make_unique<Gate>([&](int64_t step) { return updates > step; });
    HoldLanes(job, count, *gate);
  });
  EXPECT_EQ(updates, kSteps);
  EXPECT_FALSE(gate->timed_out()) << "the host waits for the lanes first";
}

TEST_F(DeviceOrderTest, AFoldRunsBeforeFoldsAreCaptured) {
  int folds = 0;
  bool ran = false, ran_at_once = false;
  const auto note = [&](DeviceStream& stream) {
    if (folds++ > 0) return;
    static_cast<EmulatedStream&>(stream).Enqueue([&] { ran = true; });
    stream.Synchronize();
    ran_at_once = ran;
  };
  Train(OnDevices({}), 1, [&](Job& job) { Observe(*job.place.device, {.fold = note}); });
  EXPECT_GT(folds, 1);
  EXPECT_TRUE(ran_at_once) << "the first fold is part of captured work";
}

}  // namespace
}  // namespace lockstep::run
