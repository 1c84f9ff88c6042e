// Checkpoints while training goes on. From `Begin` on a background thread copies what this rank owns, beside the next
// step's lanes, which don't change it; that step's updates wait, bucket by bucket, until theirs is copied. Then the
// thread writes the copy. That every rank has written travels in the control record; then receipts go to the
// coordinator, whose background thread commits the manifest; that, too, travels in the control record. So ranks always
// agree on where a checkpoint stands, and no step waits for a disk. One checkpoint is under way at most.
//
//   idle -> (Begin) writing -> (all ranks have written) committing -> (rank 0 has committed, or failed) idle
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/memory.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/records/run_folder.h"
#include "trainer/run/coordinator.h"
#include "trainer/run/job.h"
#include "trainer/run/start.h"
#include "trainer/step/owned_state.h"

namespace lockstep::run {

/// One piece of work at a time on a thread of its own.
class BackgroundTask {
 public:
  ~BackgroundTask() { Join(); }
  /// REQUIRES: `work` throws nothing.
  void Start(const std::string& name, std::function<void()> work);
  bool done() const { return done_; }
  void Join();

 private:
  std::thread thread_;
  std::atomic<bool> done_{true};
};

class Checkpointer {
 public:
  /// `coordinator` on rank 0, else null.
  Checkpointer(const Job& job, const Start& start, uint32_t attempt, step::OwnedState& state, Coordinator* coordinator);
  ~Checkpointer();

  /// What the control record carries: this rank has written its part (or failed to); on rank 0, that the commit is
  /// over.
  bool written() const { return phase_ == Phase::kWriting && task_.done(); }
  bool settled() const { return phase_ == Phase::kCommitting && task_.done(); }

  bool in_flight() const { return phase_ != Phase::kIdle; }
  uint64_t saved_step() const { return saved_step_; }
  void set_saved_step(uint64_t step) { saved_step_ = step; }
  /// Of the last one that became durable: from its copy until then.
  double save_seconds() const { return save_seconds_; }
  /// How long updates have waited for copies since the last call.
  double TakeWaitedSeconds() { return std::exchange(untaken_seconds_, 0); }

  /// Starts the checkpoint of `step`, between two steps. `fetched` returns when `weights` and the state are what they
  /// are to be (Compute::StartFetch); then they are copied, for which the next step's updates wait (OwnedState).
  /// `manifest`, used on rank 0, says everything but the files. `pinned` are steps whose checkpoints stay, besides
  /// those of checkpoint.keep_every. REQUIRES: none is in flight.
  void Begin(uint64_t step, std::span<const float> weights, std::function<void()> fetched,
             checkpoint::Manifest manifest, std::vector<uint64_t> pinned);
  /// Collective: the same of what is there already, without a copy, and waits until it is over.
  void Save(uint64_t step, std::span<const float> weights, checkpoint::Manifest manifest,
            std::vector<uint64_t> pinned) {
    Begin(step, weights, nullptr, std::move(manifest), std::move(pinned));
    Drain();
  }
  /// Collective, after each control record: what the ranks have said there.
  void Advance(bool all_written, bool settled);
  /// Collective: waits until none is in flight.
  void Drain();

 private:
  enum class Phase { kIdle, kWriting, kCommitting };
  enum Outcome : int32_t { kDurable, kFailed, kSuperseded };

  std::string what() const;
  void AllocateCopy();
  void Copy(std::vector<checkpoint::OwnedRange>& ranges);
  void CopiedUpTo(int buckets);
  void AwaitCopy(int bucket);
  void Write(const std::vector<checkpoint::OwnedRange>& ranges);
  void Commit();
  void RemoveOld();
  void Settle();

  const Job& job_;
  comm::Communicator& comm_;
  FileSystem& files_;
  records::RunFolder folder_;
  const uint32_t attempt_;
  step::OwnedState& state_;
  Coordinator* coordinator_;

  Phase phase_ = Phase::kIdle;
  checkpoint::ShardPlace place_;  // of this rank's shard
  uint64_t step_ = 0, saved_step_ = 0;
  double save_seconds_ = 0;
  std::chrono::steady_clock::time_point begun_;
  Buffer copy_;
  std::atomic<int> copied_{0};                   // buckets of this checkpoint whose copies are whole
  double waited_seconds_ = 0;                    // by training, for this checkpoint's copy
  double untaken_seconds_ = 0;                   // likewise, since TakeWaitedSeconds
  double copy_seconds_ = 0, write_seconds_ = 0;  // written by the task
  checkpoint::Manifest manifest_;                // rank 0's
  std::vector<uint64_t> pinned_;
  checkpoint::Receipt receipt_;  // written by the task
  Outcome outcome_ = kDurable;   // likewise, on rank 0, with its reason:
  std::optional<Error> failure_;
  BackgroundTask task_;  // last: ends before what it works on
};

}  // namespace lockstep::run
