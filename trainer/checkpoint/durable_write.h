// A file that is whole and durable, or not there: what WriteFileAtomically does, for content that comes in parts, and
// from several writers.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace lockstep::checkpoint {

/// What names of unfinished files end in.
inline constexpr std::string_view kTemporarySuffix = ".tmp";

/// Calls `write` on a new file beside `path`, then fsyncs it, gives it its name and fsyncs the folder. After a failure
/// the temporary file is removed, where that works, so that a full disk gets its bytes back; an older `path` stays as
/// it was.
void WriteDurably(FileSystem& files, const std::string& path, const std::function<void(WritableFile&)>& write);

/// Calls `write` on byte `offset` of the temporary file beside `path`, where others may be writing other parts, and
/// fsyncs what it wrote. When all parts are there, NameParts gives the file its name. After a failure the temporary
/// file stays: it is not this writer's alone.
void WritePartDurably(FileSystem& files, const std::string& path, uint64_t offset,
                      const std::function<void(WritableFile&)>& write);
/// Gives a file of parts its name. Durable after the next SyncFolder.
void NameParts(FileSystem& files, const std::string& path);

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
