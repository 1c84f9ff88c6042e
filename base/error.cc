#include "base/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <new>
#include <system_error>
#include <utility>

namespace lockstep {
namespace {

constexpr std::array kKinds = {
    ErrorKindInfo{ErrorKind::kInternal, "internal", 1, true},
    ErrorKindInfo{ErrorKind::kUsage, "usage", 2, false},
    ErrorKindInfo{ErrorKind::kData, "data", 3, false},
    ErrorKindInfo{ErrorKind::kCheckpoint, "checkpoint", 4, false},
    ErrorKindInfo{ErrorKind::kDiverged, "diverged", 5, false},
    ErrorKindInfo{ErrorKind::kPeer, "peer", 6, true},
    ErrorKindInfo{ErrorKind::kPreempted, "preempted", 75, true},
    ErrorKindInfo{ErrorKind::kAccess, "access", 2, false},
    ErrorKindInfo{ErrorKind::kStorage, "storage", 6, true},
    ErrorKindInfo{ErrorKind::kFolderHeld, "folder held", 2, false},
    ErrorKindInfo{ErrorKind::kSuperseded, "superseded", 2, false},
    ErrorKindInfo{ErrorKind::kMemory, "memory", 2, false},
    ErrorKindInfo{ErrorKind::kMixed, "mixed", 2, false},
};

template <typename Condition>
std::optional<ErrorKind> FirstWhere(Condition condition) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(), condition);
  return found == kKinds.end() ? std::nullopt : std::optional(found->kind);
}

ErrorKind KindOf(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ENOTEMPTY:
    case ENAMETOOLONG:
    case ELOOP:
      return ErrorKind::kUsage;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorKind::kAccess;
    case ENOMEM:
    case EAGAIN:
    case EMFILE:
    case ENFILE:
      return ErrorKind::kMemory;
    default:
      return ErrorKind::kStorage;
  }
}

std::string HintFor(int error_number) {
  switch (error_number) {
    case ENOSPC:
      return "the file system is full: free some space there, or choose another folder";
    case EDQUOT:
      return "your quota on that file system is used up: free some space there, or choose another folder";
    case EACCES:
    case EPERM:
      return "check who owns it and what you may do there, or choose another path";
    case EROFS:
      return "that file system is mounted read-only: choose another folder";
    case EIO:
      return "the disk or file server reports a fault: see the host's system log, and choose another disk";
    case ESTALE:
      return "the file server has lost it: check the mount on this host";
    case ENOENT:
      return "check the path";
    case EMFILE:
    case ENFILE:
      return "too many open files: raise the limit (ulimit -n)";
    case EAGAIN:
      return "raise the limit of processes (ulimit -u, or the container's or job's pids.max), or use fewer ranks and "
             "executors on this host";
    default:
      return "";
  }
}

}  // namespace

std::span<const ErrorKindInfo> ErrorKinds() { return kKinds; }

const ErrorKindInfo& InfoOf(ErrorKind kind) {
  const auto found = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& info) { return info.kind == kind; });
  return found == kKinds.end() ? kKinds.front() : *found;
}

std::optional<ErrorKind> ErrorKindFromNumber(int number) {
  return FirstWhere([&](const ErrorKindInfo& info) { return static_cast<int>(info.kind) == number; });
}

std::optional<ErrorKind> ErrorKindNamed(std::string_view name) {
  return FirstWhere([&](const ErrorKindInfo& info) { return info.name == name; });
}

std::optional<ErrorKind> ErrorKindOfExitCode(int exit_code) {
  return FirstWhere([&](const ErrorKindInfo& info) { return info.exit_code == exit_code; });
}

Error::Error(ErrorKind kind, std::string message, std::string where, std::string hint)
    : kind_(kind), message_(std::move(message)), where_(std::move(where)), hint_(std::move(hint)) {
  text_ = where_.empty() ? message_ : where_ + ": " + message_;
  if (!hint_.empty()) text_ += " (" + hint_ + ")";
}

Error Error::At(std::string where) const { return Error(kind_, message_, where_.empty() ? where : where_, hint_); }

Error FileError(int error_number, const std::string& what, const std::string& path) {
  const std::string reason = std::generic_category().message(error_number);
  return Error(KindOf(error_number), fmt::format("{}: {}", what, reason), path, HintFor(error_number));
}

Error CurrentError() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(ErrorKind::kMemory, "out of memory", "", "lockstep plan RECIPE says what a run needs");
  } catch (const std::filesystem::filesystem_error& error) {
    // Relative paths are made absolute by the working directory, which may be gone or closed.
    std::error_code failed;
    const bool gone = std::filesystem::current_path(failed).empty() || error.path1().empty();
    return FileError(error.code().value(), "can't use it", gone ? "the working directory" : error.path1().string());
  } catch (const std::system_error& error) {
    return FileError(error.code().value(), "the system refuses", "");
  } catch (const std::exception& error) {
    return Error(ErrorKind::kInternal, error.what(), "", "this is a bug in Lockstep; please report it");
  } catch (...) {
    return Error(ErrorKind::kInternal, "an exception of an unknown type", "",
                 "this is a bug in Lockstep; please report it");
  }
}

void CheckFailed(const char* file, int line, const char* condition, const std::string& message) {
  throw Error(ErrorKind::kInternal,
              message.empty() ? fmt::format("check failed: {}", condition)
                              : fmt::format("check failed: {}: {}", condition, message),
              fmt::format("{}:{}", file, line), "this is a bug in Lockstep; please report it");
}

}  // namespace lockstep
