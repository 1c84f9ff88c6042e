// What a file is, by its first bytes: where it is another kind than a reader expects, it is named, never taken for
// numbers or text.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/error.h"

namespace lockstep::data {

struct FileKind {
  const char* magic;   ///< what such files begin with
  size_t size;         ///< of `magic`
  const char* name;    ///< "a zip archive"
  const char* remedy;  ///< what to do with it
  bool packed;         ///< it is one file, which UnpackFile unpacks
};

/// nullptr where the bytes begin like none that is known.
const FileKind* KindOf(std::span<const std::byte> beginning);

/// Whether bytes look like text, and could hardly be anything else: 64 of them at least, printable ASCII and blanks.
bool LooksLikeText(std::span<const std::byte> beginning);

/// "is a zip archive", with what to do.
Error WrongKind(const FileKind& kind, const std::string& path);

}  // namespace lockstep::data
