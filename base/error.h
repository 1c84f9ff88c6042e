// How Lockstep reports failure: `Error` for what the world does to us, `CHECK` for what we did wrong.
//
// An Error carries a kind, a message (what was wrong), a place (file and line of a recipe, a path, or a rank and host)
// and a hint (what to do about it). Layers add a place they know; nobody prints an Error but launch. The kind decides
// the exit code, and whether a supervisor starts the job again: InfoOf is the only table of both.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lockstep {

/// The numbers travel between ranks (comm/error_text.proto), which may be of different builds: they stay as they are.
enum class ErrorKind : int {
  kInternal = 1,     ///< a bug in Lockstep
  kUsage = 2,        ///< bad usage: command line, recipe, a path that is not there, a device that is not there
  kData = 3,         ///< bad or differing data
  kCheckpoint = 4,   ///< a checkpoint that can't be read, or can't be written where that must stop the run
  kDiverged = 5,     ///< training diverged
  kPeer = 6,         ///< a peer, the network or a memory failed
  kAccess = 7,       ///< a file or folder that may not be read or written: permissions, a read-only file system
  kStorage = 8,      ///< a file system that is full, or fails
  kFolderHeld = 9,   ///< another job runs in the run's folder
  kSuperseded = 10,  ///< another job has gone on with the run: its folder is that job's now
  kMemory = 11,      ///< a host or device has too little memory
  kMixed = 12,       ///< ranks, or a run and what would go on with it, are of different builds, recipes or hardware
  kPreempted = 75,   ///< asked to stop; please requeue
};

struct ErrorKindInfo {
  ErrorKind kind;
  const char* name;  ///< in verdict.json: "storage"
  int exit_code;     ///< of the process: docs/operations.md. Kinds that share one also agree in may_pass.
  bool may_pass;     ///< the same start, made again, may succeed
};

/// All kinds; of those with one exit code, the one that it is named after comes first.
std::span<const ErrorKindInfo> ErrorKinds();
const ErrorKindInfo& InfoOf(ErrorKind kind);
inline int ExitCodeOf(ErrorKind kind) { return InfoOf(kind).exit_code; }
/// Nothing where there is no such kind, for instance of another version.
std::optional<ErrorKind> ErrorKindFromNumber(int number);
std::optional<ErrorKind> ErrorKindNamed(std::string_view name);
/// The kind that an exit code is named after; nothing for 0 and codes that no Error has (a signal's).
std::optional<ErrorKind> ErrorKindOfExitCode(int exit_code);

class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message, std::string where = "", std::string hint = "");

  ErrorKind kind() const { return kind_; }
  int exit_code() const { return ExitCodeOf(kind_); }
  const std::string& message() const { return message_; }
  const std::string& where() const { return where_; }
  const std::string& hint() const { return hint_; }

  /// "where: message (hint)", without the parts that are empty.
  const char* what() const noexcept override { return text_.c_str(); }

  /// The same error with a place, where it has none yet.
  Error At(std::string where) const;
  /// The same error as one of another kind.
  Error As(ErrorKind kind) const { return Error(kind, message_, where_, hint_); }

 private:
  ErrorKind kind_;
  std::string message_, where_, hint_, text_;
};

/// The Error for a failed system call on a file: "PATH: WHAT: the reason in words (what to do)". Its kind follows from
/// the reason: kUsage for a path that is not there or is of the wrong sort, kAccess for one that may not be used,
/// kStorage for a file system that is full or fails, kMemory. Who knows better rethrows it as another kind.
Error FileError(int error_number, const std::string& what, const std::string& path);

/// What is being handled, as an Error: std::bad_alloc is kMemory, the standard library's report of a failed system call
/// is what FileError makes of it, whatever else is no Error is kInternal. REQUIRES: called inside a catch clause.
Error CurrentError();

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition, const std::string& message);

}  // namespace lockstep

/// Throws Error(kInternal) with file and line when `condition` does not hold: CHECK(a == b, "sizes {} and {}", a, b).
#define CHECK(condition, ...)                                                                 \
  do {                                                                                        \
    if (!(condition)) [[unlikely]]                                                            \
      ::lockstep::CheckFailed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)
