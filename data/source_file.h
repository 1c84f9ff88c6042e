// Data files as bytes in memory, and the errors that name them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/origin.h"

namespace lockstep::data {

/// Whose kinds of files are good: those that begin as no other known format does, or any, of which the reader knows
/// more.
enum class Kinds { kOwn, kAny };

/// The bytes of the file, unpacked where it is packed (unpack.h). Throws Error(kData) where the file is missing, can't
/// be read, is packed and damaged, or is something else altogether (file_kind.h).
std::vector<std::byte> LoadSourceFile(const Origin& origin, Kinds kinds = Kinds::kOwn);

/// An absolute path: a leading $LOCKSTEP_DATA/ expands, others are relative to `folder` (empty: the working directory).
/// Throws Error(kUsage) with the place `where` where the variable isn't set.
std::string ResolveDataPath(const std::string& path, const std::string& folder, const std::string& where);

}  // namespace lockstep::data
