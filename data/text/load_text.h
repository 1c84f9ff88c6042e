// Text files in memory, and errors that name them.
#pragma once

#include <string>

#include "base/error.h"

namespace lockstep::data {

/// The whole file, unpacked where it is gzipped. `field` ("data.train.text.file") names it in errors. Throws
/// Error(kUsage) where the path is empty, and Error(kData) where the file is missing, empty or, unless `any_bytes` will
/// do, no UTF-8.
std::string LoadText(const std::string& path, const std::string& field, bool any_bytes);

/// Runs `read`, whose errors know nothing of files.
template <typename F>
auto NamingFile(const std::string& file, F&& read) {
  try {
    return read();
  } catch (const Error& error) {
    throw Error(error.kind(), error.message(), file, error.hint());
  }
}

}  // namespace lockstep::data
