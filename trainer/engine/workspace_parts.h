// A kernel's scratch memory, in parts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/memory.h"

namespace lockstep::engine {

/// Parts of a workspace, one behind the other, each aligned. With nullptr it only counts what they take.
class WorkspaceParts {
 public:
  explicit WorkspaceParts(std::byte* workspace) : workspace_(workspace) {}
  template <typename T>
  T* Take(int64_t count) {
    const size_t at = bytes_;
    bytes_ += AlignUp(static_cast<size_t>(count) * sizeof(T), kBufferAlignment);
    return reinterpret_cast<T*>(workspace_ + at);
  }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* workspace_;
  size_t bytes_ = 0;
};

}  // namespace lockstep::engine
