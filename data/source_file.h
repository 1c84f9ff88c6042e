// Data files as bytes in memory, and the errors that name them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace lockstep::data {

/// Where bytes came from, so that errors can name it: the file, and the recipe's field that points at it
/// ("data.train.idx.images").
struct Origin {
  std::string path;
  std::string field;

  /// What is wrong with the file's content; `place` is added to the path ("17" for line 17).
  Error Bad(std::string message, std::string hint = "", const std::string& place = "") const;
};

/// The bytes of the file, unpacked where they begin with gzip's magic number. Throws Error(kData) where the file is
/// missing, can't be read, or is a gzip file that is cut off or damaged.
std::vector<std::byte> LoadSourceFile(const Origin& origin);

/// Unpacks a gzip file (RFC 1952) of one or more members; zeros after the last are padding. Throws Error(kData).
std::vector<std::byte> Gunzip(std::span<const std::byte> packed, const Origin& origin);

/// An absolute path: a leading $LOCKSTEP_DATA/ expands, others are relative to `folder` (empty: the working directory).
/// Throws Error(kUsage) with the
/// place `where` where the variable isn't set.
std::string ResolveDataPath(const std::string& path, const std::string& folder, const std::string& where);

bool IsGzip(std::span<const std::byte> bytes);

}  // namespace lockstep::data
