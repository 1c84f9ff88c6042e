// A file that is whole and durable, or not there: what WriteFileAtomically does, for content that comes in parts.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace lockstep::checkpoint {

/// Calls `write` on a new file beside `path`, then fsyncs it, gives it its name and fsyncs the folder. After a failure
/// the temporary file is removed, where that works, so that a full disk gets its bytes back; an older `path` stays as
/// it was.
void WriteDurably(FileSystem& files, const std::string& path, const std::function<void(WritableFile&)>& write);

/// Runs `action`; an Error out of it leaves as one of kind kCheckpoint.
template <typename Action>
auto AsCheckpointError(Action&& action) {
  try {
    return action();
  } catch (const Error& error) {
    throw Error(ErrorKind::kCheckpoint, error.message(), error.where(), error.hint());
  }
}

/// The folder that `path` lies in: "." where it is a bare name.
std::string ParentOf(const std::string& path);

}  // namespace lockstep::checkpoint
