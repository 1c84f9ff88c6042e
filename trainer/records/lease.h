// The lease of a run folder: DIR/lease.json names the one process (rank 0 of an attempt) that may change the folder,
// keeps a second job out, and lapses when its holder is gone.
//
// The holder counts `sequence` up every `period`. Who wants the folder takes it at once where there is no lease, or its
// process is provably dead (same host, boot and pid namespace, and no such process); else it watches the sequence on
// its own clock, since clocks of hosts differ: unchanged for `lapse`, the lease is taken over; counted up twice, it is
// held, and that is an Error. The predecessor of a requeued Slurm job (the same job id, fewer restarts) may take a
// while to die, so it is waited for up to `predecessor`.
//
// What it promises: at rest, the file names one holder, and everybody else finds that out at the next CheckHeld, which
// the coordinator calls right before it commits a checkpoint. What it can't promise: between CheckHeld and the renames
// of a commit a process may sleep for long enough to be superseded. That is harmless. Shards carry the attempt in their
// names, so no attempt writes over another's; a manifest of a later attempt is never replaced (CommitManifest); and
// where the sleeper does commit a step that the later attempt has not, it is the checkpoint that the later attempt
// would have written, bit for bit, because weights are a function of the recipe alone.
//
// A taker moves the old lease aside and brings its own in under a name that must be free (FileSystem::RenameNew), so
// of several takers one wins. A holder that was stopped (SIGSTOP) just before a renewal may write over its
// successor's lease: then the successor finds itself superseded. Either way one holder is left, or none.
//
// On NFS a reader may see a lease that is some seconds old. With `lapse` well above the mount's acregmin (3 s) this
// costs time only.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/files/file.h"
#include "base/mutex.h"
#include "trainer/records/lease_watch.h"

namespace lockstep::records {

inline constexpr char kLeaseName[] = "lease.json";

/// Thread-safe. `files` must outlive it.
class Lease {
 public:
  /// Takes the lease of `folder`, which exists, and begins to renew it on a thread of its own. `poll` is called while
  /// it waits, and may throw to end the wait. Throws Error(kFolderHeld) where another job runs in the folder, and what
  /// the file system says where the lease can't be written.
  static std::unique_ptr<Lease> Acquire(FileSystem& files, const std::string& folder, LeaseOptions options,
                                        const std::function<void()>& poll);
  /// Releases.
  ~Lease();

  /// What the file says from the next renewal on. Cheap.
  void SetAttempt(uint32_t attempt) { attempt_ = attempt; }
  void NoteStep(uint64_t step) { step_ = step; }

  /// From memory: the lease was renewed not longer than `lapse` ago, and nobody has been seen to have taken it. Cheap.
  bool Holds() const { return !superseded_ && !Lapsed(); }
  /// From memory: another's name has been seen in the file. This never changes back. Cheap.
  bool Superseded() const { return superseded_; }
  /// Reads the file. Throws Error(kSuperseded) where another's name is in it: this attempt is over, and must not be
  /// started again blindly. Throws Error(kCheckpoint) where the lease has lapsed and
  /// can't be renewed (a full disk), or can't be read: what was to be committed must not be, but later it may work.
  void CheckHeld();

  /// Ends the renewals and removes the file where it is still this lease's. Failing to remove it is no error: it
  /// lapses. May be called again.
  void Release();

  uint64_t failed_renewals() const { return failed_; }

 private:
  using Clock = std::chrono::steady_clock;

  Lease(FileSystem& files, const std::string& folder, LeaseOptions options);
  std::optional<std::string> ReadFile();
  bool Take(const std::optional<std::string>& observed);
  bool MoveAside(const std::string& observed);
  void WriteTemporary() REQUIRES(file_mutex_);
  void RemoveLeftovers();

  void Work();
  void RenewOnce();
  /// False, and noted, where the file names another. A file that is gone or damaged is nobody else's.
  bool IsMine(const std::optional<std::string>& text) REQUIRES(file_mutex_);
  /// REQUIRES: the file says `current`, which names no other.
  void Renew(const std::optional<std::string>& current) REQUIRES(file_mutex_);
  [[noreturn]] void ThrowSuperseded() const REQUIRES(file_mutex_);
  bool Lapsed() const { return Clock::now() - renewed_.load() > options_.lapse; }

  FileSystem& files_;
  const std::string folder_, path_, temporary_, aside_;
  const LeaseOptions options_;

  std::atomic<uint32_t> attempt_{0};
  std::atomic<uint64_t> step_{0};
  std::atomic<Clock::time_point> renewed_;  ///< when the last renewal that succeeded began
  std::atomic<uint64_t> failed_{0};
  std::atomic<bool> superseded_{false};

  Mutex file_mutex_;  ///< held while the file is looked at and changed, which may take as long as a disk takes
  uint64_t sequence_ GUARDED_BY(file_mutex_) = 0;
  LeaseHolder successor_ GUARDED_BY(file_mutex_);
  Mutex stop_mutex_;
  CondVar stop_;
  bool stopping_ GUARDED_BY(stop_mutex_) = false;
  std::thread thread_;
};

}  // namespace lockstep::records
