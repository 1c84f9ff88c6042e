// The folder of a run: what lies where, and the files that only rank 0 writes.
//
//   recipe.textproto            the resolved recipe
//   metrics.jsonl               a row per logged step and per evaluation
//   metrics.discarded.jsonl     rows past the checkpoint that a resume went back to
//   attempts.jsonl              a row per start
//   done.json                   the last line of a finished run
//   verdict.json                how the last attempt has ended
//   checkpoints/step-00001200/  checkpoints
//   logs/rank-N.log             each rank's log
//   lease.json                  who may write here now (lease.h)
//   certificate.json            hashes of what the run was made from, and of its weights on the way (certificate.h)
//   heartbeat/rank-N.pb         what each rank is doing now (comm/watchdog.h)
//   flight/attempt-N/rank-N.pb  what each rank did last, where an attempt ended badly (comm/flight_recorder.h)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/file.h"

namespace lockstep::records {

class RunFolder {
 public:
  RunFolder(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }
  std::string checkpoint(uint64_t step) const;
  std::string recipe() const { return path_ + "/recipe.textproto"; }
  std::string metrics() const { return path_ + "/metrics.jsonl"; }
  std::string heartbeats() const { return path_ + "/heartbeat"; }
  std::string flight_records(uint32_t attempt) const { return path_ + "/flight/attempt-" + std::to_string(attempt); }
  std::string log(int rank) const { return path_ + "/logs/rank-" + std::to_string(rank) + ".log"; }

  /// Makes the folder and its subfolders, and tries that a file can be written there. Throws Error(kUsage).
  void Create();
  /// Moves an existing run aside, to path.old, path.old-2, ...; returns where to, empty where there was none.
  std::string MoveAside();
  bool HasRun() { return files_.Exists(recipe()); }

  /// What a start of the run notes: a row of attempts.jsonl.
  struct Attempt {
    uint32_t number = 0;
    std::string host;  ///< of rank 0
    int ranks = 0;
    uint64_t from_step = 0;
    std::string build_hash;
    std::map<std::string, std::string> numerics;  ///< the numerics fingerprint
  };
  std::optional<Attempt> LastAttempt();
  /// Gives `attempt` the next number, from 1, and notes it.
  uint32_t BeginAttempt(Attempt attempt);

  /// Moves rows of metrics.jsonl past `step` to metrics.discarded.jsonl, and a torn last row. Without `evaluated`,
  /// evaluations at `step` too: a run that was stopped between a step and its evaluation makes up for it, each time it
  /// goes on from there.
  void DiscardMetricsAfter(uint64_t step, bool evaluated = true);

  struct Done {
    std::string line;
    std::string identity_hash;
    uint64_t step = 0;
  };
  /// How an attempt has ended, for people and for what starts the run again. Best effort.
  struct Ending {
    uint32_t attempt = 0;
    int exit_code = 0;
    std::string message;
    std::string where;
    uint64_t step = 0;
  };
  void WriteEnding(const Ending& ending);

  void WriteDone(const Done& done);
  std::optional<Done> ReadDone();
  void RemoveDone() { files_.RemoveAll(path_ + "/done.json"); }

 private:
  FileSystem& files_;
  std::string path_;
};

}  // namespace lockstep::records
