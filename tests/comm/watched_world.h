// Threads as ranks that watchdogs watch, with a timeout of 0.6 s, and what the world says when some of them stall.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "comm/local/local_communicator.h"
#include "comm/watchdog.h"
#include "tests/base/temporary_folder.h"

namespace lockstep::comm {

inline constexpr std::chrono::milliseconds kTimeout(600);

/// One rank's recorder and watchdog, as the worker makes them.
struct Watched {
  Watched(Communicator& comm, const TemporaryFolder& folder, FileSystem& files = FileSystem::Real())
      : recorder(comm.recorder()) {
    recorder.SetAttempt(1);
    comm.waiter().SetDeadline(kTimeout);
    Watchdog::Options options;
    options.folder = folder / "heartbeat";
    options.records_folder = folder / "flight/attempt-1";
    options.files = &files;
    options.on_stuck = [this](const Error& error) {
      stuck = error.what();
      is_stuck = true;
    };
    watchdog.emplace(comm, std::move(options));
  }

  FlightRecorder& recorder;
  std::optional<Watchdog> watchdog;
  std::string stuck;
  std::atomic<bool> is_stuck = false;
};

/// Without what it measured: "rank 1 on host has not entered barrier 2 ".
inline std::string DiagnosisOf(const std::string& message) { return message.substr(0, message.find('(')); }

/// What a world of `ranks` says in the end; `body` runs on every rank and watches it. Mostly one rank speaks and the
/// others learn of it; on a busy machine a second one may be as far, and must say the same.
template <typename Body>
std::string ErrorOf(int ranks, const Body& body, const TemporaryFolder& folder, FileSystem& files = FileSystem::Real(),
                    std::vector<int> ranks_per_host = {}) {
  std::mutex mutex;
  std::set<std::string> diagnoses;
  try {
    RunLocalWorld({.world_size = ranks, .ranks_per_host = std::move(ranks_per_host)}, [&](Communicator& comm) {
      Watched watched(comm, folder, files);
      try {
        body(comm, watched);
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        diagnoses.insert(DiagnosisOf(error.what()));
        throw;
      }
    });
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kPeer);
    EXPECT_THAT(diagnoses, testing::ElementsAre(DiagnosisOf(error.what())));
    return error.what();
  }
  return "no error";
}

/// Until another rank ends the job; this rank's main thread does not look in between.
inline void HangUntilAborted(Communicator& comm) {
  try {
    for (;;) {
      comm.Poll();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  } catch (const PeerAborted&) {
  }
}

}  // namespace lockstep::comm
