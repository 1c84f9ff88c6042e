// How Lockstep reports failure: `Error` for what the world does to us, `CHECK` for what we did wrong.
//
// An Error carries a kind, which decides the exit code (launch/main.cc alone turns it into one), a message (what was
// wrong), a place (file and line of a recipe, a path, or a rank and host) and a hint (what to do about it). Layers add
// a place they know; nobody prints an Error but launch.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <string_view>

namespace lockstep {

/// The value is the process's exit code (DESIGN section 8).
enum class ErrorKind : int {
  kInternal = 1,    ///< a bug in Lockstep
  kUsage = 2,       ///< command line, recipe, output folder, mixed binaries, too little memory, unsuitable device
  kData = 3,        ///< bad or differing data
  kCheckpoint = 4,  ///< a checkpoint that can't be read, or can't be written where that must stop the run
  kDiverged = 5,    ///< training diverged
  kPeer = 6,        ///< a peer, the network or a memory failed
  kPreempted = 75,  ///< asked to stop; please requeue
};

class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message, std::string where = "", std::string hint = "");

  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }
  const std::string& message() const { return message_; }
  const std::string& where() const { return where_; }
  const std::string& hint() const { return hint_; }

  /// "where: message (hint)", without the parts that are empty.
  const char* what() const noexcept override { return text_.c_str(); }

  /// The same error with a place, where it has none yet.
  Error At(std::string where) const;

 private:
  ErrorKind kind_;
  std::string message_, where_, hint_, text_;
};

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition, const std::string& message);

}  // namespace lockstep

/// Throws Error(kInternal) with file and line when `condition` does not hold: CHECK(a == b, "sizes {} and {}", a, b).
#define CHECK(condition, ...)                                                                 \
  do {                                                                                        \
    if (!(condition)) [[unlikely]]                                                            \
      ::lockstep::CheckFailed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)
