// Buffers whose alignment is the same for every lane, rank and arena: kernels pick code paths by alignment, and so
// bits.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/arena.h"

namespace lockstep {

/// Zeroed memory aligned to kBufferAlignment, in huge pages where the system gives them (madvise). Movable, not
/// copyable.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes);
  /// Memory of another kind, aligned to kValueAlignment, which `owner` keeps.
  Buffer(std::span<std::byte> memory, std::shared_ptr<void> owner);
  Buffer(Buffer&&) noexcept;
  Buffer& operator=(Buffer&&) noexcept;
  ~Buffer();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  template <typename T>
  std::span<T> As() const {
    return {reinterpret_cast<T*>(data_), size_ / sizeof(T)};
  }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::shared_ptr<void> owner_;  ///< null: mapped by this
};

}  // namespace lockstep
