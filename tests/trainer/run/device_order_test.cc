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

/// Holds up kernels of lanes, in all steps but the last, until something has happened; not for ever.
class Gate {
 public:
  Gate(comm::FlightRecorder& recorder, std::function<bool(int64_t step)> open)
      : recorder_(recorder), open_(std::move(open)) {}

  /// In front of a kernel, on its stream.
  void Pass() {
    const comm::Status status = recorder_.status();
    const int64_t step = status.collective_step();
    if (status.kind() != comm::CollectiveKind::EXCHANGE || status.state() != comm::CollectiveState::BEGUN) return;
    constexpr auto kPatience = std::chrono::seconds(10);
    const auto begin = std::chrono::steady_clock::now();
    while (step < kSteps - 1 && !timed_out_ && !open_(step)) {
      timed_out_ = std::chrono::steady_clock::now() - begin > kPatience;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  bool timed_out() const { return timed_out_; }

 private:
  comm::FlightRecorder& recorder_;
  const std::function<bool(int64_t)> open_;
  std::atomic<bool> timed_out_ = false;
};

/// Gradient kernels, and word of each fold and fused update when it has been enqueued.
class NotingKernels final : public optim::GradientKernels {
 public:
  using Note = std::function<void(DeviceStream& stream)>;
  NotingKernels(std::unique_ptr<optim::GradientKernels> inner, Note fold, Note update)
      : inner_(std::move(inner)), fold_(std::move(fold)), update_(std::move(update)) {}

  void Fold(DeviceStream& stream, const optim::FoldStep* step, DType wire, const float* gradient,
            ElementRange range) override {
    inner_->Fold(stream, step, wire, gradient, range);
    fold_(stream);
  }
  void SumAndUpdate(DeviceStream& stream, const optim::PieceSum& sum, const optim::SegmentRules* rules, int segments,
                    const optim::DeviceSlice& slice, optim::ChunkRecord* chunks) override {
    inner_->SumAndUpdate(stream, sum, rules, segments, slice, chunks);
    update_(stream);
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
  }

 private:
  const std::unique_ptr<optim::GradientKernels> inner_;
  const Note fold_, update_;
};

/// A lane a rank, so that the host enqueues it all without waiting for the device.
TrainSetup OneLaneEach(int ranks) {
  return {.train = fmt::format("steps: {} global_batch: 12 lanes: {}", kSteps, ranks), .model = kWide};
}

class DeviceOrderTest : public testing::Test {
 protected:
  ~DeviceOrderTest() override { StartLog("", true, 0); }

  /// Trains with what `change` makes of the job; the flight record of rank 0.
  comm::FlightRecord Train(const TrainSetup& setup, int ranks, const std::function<void(Job&)>& change) {
    comm::FlightRecord record;
    comm::RunLocalWorld({.world_size = ranks}, [&](comm::Communicator& comm) {
      Job job = MakeSmallJob(setup, comm);
      job.place.executors = 1;
      change(job);
      run::Train(job, MakeSmallStart(job, temporary_ / "run"));
      if (comm.rank() == 0) record = comm.recorder().Record("");
    });
    return record;
  }

  /// That each next batch goes up while lanes wait for it.
  void ExpectBatchesAhead(const TrainSetup& setup, int ranks) {
    std::vector<std::unique_ptr<Gate>> gates(static_cast<size_t>(ranks));
    const comm::FlightRecord record = Train(setup, ranks, [&](Job& job) {
      comm::FlightRecorder& recorder = job.place.comm->recorder();
      auto gate = std::make_unique<Gate>(
          recorder, [&recorder](int64_t step) { return Story(recorder.Record("")).batches >= step + 2; });
      job.place.backend = job.place.device->backend =
          MakeLateBackend(*job.place.device, [gate = gate.get()] { gate->Pass(); });
      gates[static_cast<size_t>(job.place.comm->rank())] = std::move(gate);
    });
    EXPECT_THAT(Story(record).ahead, testing::ElementsAre(0, 1, 2, 3, 4));
    for (const auto& gate : gates) EXPECT_FALSE(gate->timed_out());
  }

  TemporaryFolder temporary_;
};

TEST_F(DeviceOrderTest, TheNextBatchGoesUpBesideTheLanes) { ExpectBatchesAhead(OnDevices(OneLaneEach(1)), 1); }

TEST_F(DeviceOrderTest, TheNextBatchGoesUpBesideTheLanesWhereTheHostWaitsForExchanges) {
  ExpectBatchesAhead(OnDevices(OneLaneEach(2)), 2);
}

TEST_F(DeviceOrderTest, TheNextBatchGoesUpBesideTheLanesWhereTheHostDoesNotWaitForExchanges) {
  ExpectBatchesAhead(OnConnectedDevices(OneLaneEach(2)), 2);
}

TEST_F(DeviceOrderTest, UpdatesOfOneRankAreEnqueuedBesideItsLanes) {
  std::atomic<int64_t> updates = 0;  // one bucket, so one a step
  std::unique_ptr<Gate> gate;
  Train(OnDevices(OneLaneEach(1)), 1, [&](Job& job) {
    step::DeviceKit& kit = *job.place.device;
    kit.kernels = std::make_unique<NotingKernels>(
        std::move(kit.kernels), [](DeviceStream&) {}, [&](DeviceStream&) { ++updates; });
    gate = std::make_unique<Gate>(job.place.comm->recorder(), [&](int64_t step) { return updates > step; });
    job.place.backend = kit.backend = MakeLateBackend(kit, [&] { gate->Pass(); });
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
  Train(OnDevices({}), 1, [&](Job& job) {
    step::DeviceKit& kit = *job.place.device;
    kit.kernels = std::make_unique<NotingKernels>(std::move(kit.kernels), note, [](DeviceStream&) {});
  });
  EXPECT_GT(folds, 1);
  EXPECT_TRUE(ran_at_once) << "the first fold is part of captured work";
}

}  // namespace
}  // namespace lockstep::run
