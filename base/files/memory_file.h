// Bytes in memory that are read as a file is.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "base/files/file.h"

namespace lockstep {

/// The bytes must outlive it.
class MemoryFile final : public ReadableFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  void ReadAt(uint64_t offset, std::span<std::byte> to) const override {
    CHECK(offset <= bytes_.size() && to.size() <= bytes_.size() - offset);
    std::ranges::copy(bytes_.subspan(offset, to.size()), to.begin());
  }

 private:
  const std::span<const std::byte> bytes_;
};

}  // namespace lockstep
