// Files that are whole or as they were before, whatever ends the process or the machine while they are written.
//
// All functions throw Error on failure, as those of file.h.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/files/file.h"

namespace lockstep {

/// What names of unfinished files end in: a file so named that no process writes any more is rubbish.
inline constexpr std::string_view kTemporarySuffix = ".tmp";
/// "PATH.0123456789abcdef.tmp": a name beside `path` that nobody else ever takes, on this host or another.
std::string TemporaryName(const std::string& path);
/// Whether `name` is what TemporaryName makes of a path that ends in `target`.
bool IsTemporaryOf(std::string_view name, std::string_view target);

enum class Durability {
  kProcess,  ///< whole when this process crashes, not when the machine does: without waiting for the disk
  kMachine,  ///< whole and there after a power cut: fsync of the file and of its folder
};
/// Replaces `path` by what `write` appends to a new file, so that it is whole or as it was before, whoever else writes
/// it at the same moment. After a failure the temporary file is removed, where that works.
void WriteAtomically(FileSystem& files, const std::string& path, Durability durability,
                     const std::function<void(WritableFile&)>& write);
/// The same of `bytes`, durable.
void WriteFileAtomically(FileSystem& files, const std::string& path, std::string_view bytes);
/// The same unless there is a `path`: false then, and it stays as it is. Of several that do this at the same moment one
/// wins.
bool WriteNewFileAtomically(FileSystem& files, const std::string& path, std::string_view bytes);

}  // namespace lockstep
