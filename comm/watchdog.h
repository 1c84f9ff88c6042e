// The watchdog: tells the other ranks what this one does (heartbeats, as files in the run folder), and when nothing
// moves any more on any rank, says which one is to blame.
//
// How a hang ends. Some rank's wait passes its deadline and asks the watchdog, again and again. It lets the wait go on
// while any rank gets on (a long evaluation, a big file, a rank that warms up); else the lowest rank that still lives
// throws Error(kPeer) with the Diagnosis, and the others learn of its abort. They throw the same themselves a second
// later, should no abort reach them. Where no rank waits because all are stuck in work of their own, each watchdog ends
// its process in the end (on_stuck).
//
// Time spent stopped (SIGSTOP, Slurm's suspend) doesn't count: after it everybody gets a whole timeout again.
//
// Threads: one reads and writes files and may hang with them; one looks at the clock. The communicating thread only
// reads what they left.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "comm/communicator.h"
#include "comm/diagnosis.h"

namespace lockstep::comm {

class Watchdog {
 public:
  struct Options {
    std::string folder;          ///< of the heartbeats: DIR/heartbeat
    std::string records_folder;  ///< of the flight records, for the hint
    FileSystem* files = &FileSystem::Real();
    /// Called once, on a thread of the watchdog, when this rank's communicating thread is stuck and no other rank has
    /// ended the job. Reports the error and ends the process with its exit code.
    std::function<void(const Error&)> on_stuck;
  };

  /// Becomes the SetStalled hook of the communicator's waiter; the timeout is its deadline(), also when that changes.
  /// The recorder has its attempt: heartbeats of other attempts don't count. `comm` outlives the watchdog, and
  /// `options.files` the process.
  Watchdog(Communicator& comm, Options options);
  /// Takes the hook away and stops. A thread that hangs in a file operation is left behind; it does not use the
  /// communicator any more.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// What the Error of a stalled wait was made from; nothing before. Any thread.
  std::optional<Diagnosis> diagnosis() const;

  /// Between heartbeats, at a timeout of `timeout`.
  static std::chrono::milliseconds Period(std::chrono::milliseconds timeout);

 private:
  class State;
  std::shared_ptr<State> state_;
  Waiter& waiter_;
  std::thread beating_, guarding_;
};

}  // namespace lockstep::comm
