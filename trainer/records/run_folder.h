// The folder of a run: what lies where, and the files that the run itself writes; what reads them from outside is in
// run_folder_reader.h. Rank 0 writes them, but for verdict.json, which the rank writes that knows how the attempt
// ended.
//
//   recipe.textproto            the resolved recipe
//   metrics.jsonl               a row per logged step and per evaluation
//   tensorboard/                the same for TensorBoard (event_file.h)
//   profile/rank-N.json         what each rank did in the steps that were profiled (profile_record.h)
//   metrics.discarded.jsonl     rows past the checkpoint that a resume went back to
//   attempts.jsonl              a row per start
//   done.json                   the last line of a finished run
//   verdict.json                how the last attempt has ended; none while it runs, and where it was killed
//   evaluation.json             what `lockstep eval` found in detail (evaluation_record.h)
//   checkpoints/step-00001200/  checkpoints
//   logs/rank-N.log             each rank's log
//   lease.json                  who may write here now (lease.h)
//   certificate.json            hashes of what the run was made from, and of its weights on the way (certificate.h)
//   heartbeat/rank-N.pb         what each rank is doing now (comm/watchdog.h)
//   flight/attempt-N/rank-N.pb  what each rank did last, where an attempt ended badly (comm/flight_recorder.h)
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/files/file.h"
#include "trainer/records/run_records.h"

namespace lockstep::records {

class RunFolder {
 public:
  RunFolder(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }
  std::string checkpoint(uint64_t step) const;
  std::string recipe() const { return path_ + "/recipe.textproto"; }
  std::string metrics() const { return path_ + "/metrics.jsonl"; }
  std::string times() const { return path_ + "/times.json"; }
  std::string profiles() const { return path_ + "/profile"; }
  std::string profile(int rank) const { return profiles() + "/rank-" + std::to_string(rank) + ".json"; }
  std::string tensorboard() const { return path_ + "/tensorboard"; }
  std::string ending() const { return path_ + "/verdict.json"; }
  std::string heartbeats() const { return path_ + "/heartbeat"; }
  std::string flight_records(uint32_t attempt) const { return path_ + "/flight/attempt-" + std::to_string(attempt); }
  std::string log(int rank) const { return path_ + "/logs/rank-" + std::to_string(rank) + ".log"; }

  /// Makes the folder and its subfolders, and tries that a file can be written there. Throws Error(kAccess), or
  /// Error(kStorage) where the file system is full or fails.
  void Create();
  /// Moves an existing run aside, to path.old, path.old-2, ...; returns where to, empty where there was none.
  std::string MoveAside();
  bool HasRun() { return files_.Exists(recipe()); }

  /// The one with the highest number.
  std::optional<AttemptStart> LastAttempt();
  /// What --change recipe changed with attempts behind number `attempt`: those that a checkpoint of it does not know
  /// of.
  std::vector<std::string> ChangedSince(uint32_t attempt);
  /// The number that the next attempt gets, from 1: none is given twice.
  uint32_t NextAttempt();
  /// Gives `attempt` that number, and notes it. The verdict on an earlier one goes.
  uint32_t BeginAttempt(AttemptStart attempt);

  /// Removes what killed writers of earlier attempts have left unfinished, outside of checkpoints and of the lease,
  /// which have rules of their own. Never throws. REQUIRES: the lease is held, and no rank of the next attempt writes
  /// yet.
  void RemoveLeftovers() noexcept;

  /// Moves rows of metrics.jsonl past `step` to metrics.discarded.jsonl, and a torn last row. Without `evaluated`,
  /// evaluations at `step` too: a run that was stopped between a step and its evaluation makes up for it, each time it
  /// goes on from there.
  void DiscardMetricsAfter(uint64_t step, bool evaluated = true);

  /// Writes how the attempt has ended, for people and for what starts the run again; the first of several ranks' words
  /// stays. Best effort: never throws, since what ended the run may be this very disk. May be called on any rank and
  /// thread.
  void WriteEnding(const AttemptEnding& ending) noexcept;

  void WriteDone(const RunDone& done);
  std::optional<RunDone> ReadDone();
  void RemoveDone() { files_.RemoveAll(path_ + "/done.json"); }

 private:
  std::string ReadIfThere(const std::string& path);

  FileSystem& files_;
  std::string path_;
};

}  // namespace lockstep::records
