// The regular files of a plain tar archive on disk, however large: where each lies, and nothing of what is in it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/files/file.h"
#include "data/origin.h"

namespace lockstep::data {

struct TarMember {
  std::string name;     ///< without "./" in front
  uint64_t offset = 0;  ///< of its first byte in the archive
  uint64_t size = 0;    ///< bytes
};

inline constexpr uint64_t kTarBlock = 512;

/// Calls `action` with each file in its order: ustar (POSIX 1003.1), with pax's paths and sizes and GNU's long names.
/// Other members are passed over. Throws Error(kData) where it is damaged or cut off, packed, or has sparse files.
void VisitTar(const ReadableFile& file, const Origin& origin, const std::function<void(const TarMember&)>& action);

/// The header of a file of this name (at most 100 bytes) and size: owned by nobody, of 1970. What follows it is its
/// content, and zeros up to a whole block.
std::string TarHeader(const std::string& name, uint64_t size);

/// Whether this block is the header of a file of this size.
bool IsHeaderOfSize(const std::byte* block, uint64_t size);

}  // namespace lockstep::data
