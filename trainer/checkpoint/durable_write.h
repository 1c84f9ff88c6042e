// A file that is whole and durable, or not there, whose content comes in parts from several writers: what
// WriteAtomically (base/file.h) does for one.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/files/file.h"

namespace lockstep::checkpoint {

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

}  // namespace lockstep::checkpoint
