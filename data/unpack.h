// Packed files: gzip by zlib; xz, Zstandard and bzip2 by libarchive.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "data/origin.h"

namespace lockstep::data {

/// Whether the bytes begin as a file that UnpackFile unpacks.
bool IsPacked(std::span<const std::byte> bytes);
/// What is in the packed file. Throws Error(kData) where it is cut off or damaged. REQUIRES: IsPacked.
std::vector<std::byte> UnpackFile(std::span<const std::byte> packed, const Origin& origin);

bool IsGzip(std::span<const std::byte> bytes);
/// Unpacks a gzip file (RFC 1952) of one or more members; zeros after the last are padding. Throws Error(kData).
std::vector<std::byte> Gunzip(std::span<const std::byte> packed, const Origin& origin);

}  // namespace lockstep::data
