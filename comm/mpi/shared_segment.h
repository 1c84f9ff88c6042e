// A POSIX shared memory segment: made by one process, mapped by others by name, unlinked when all have it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "comm/communicator.h"

namespace lockstep::comm {

class SharedSegment : public SharedMemory {
 public:
  /// Makes a zeroed segment under a new name. All its pages are there when this returns: a full /dev/shm is an
  /// Error(kUsage) here, not a bus error later. Nothing is left behind when it throws. REQUIRES: bytes > 0.
  static std::unique_ptr<SharedSegment> Create(size_t bytes);
  /// Maps another process's segment of that name and size.
  static std::unique_ptr<SharedSegment> Open(const std::string& name, size_t bytes);
  ~SharedSegment() override;

  std::span<std::byte> data() const override { return data_; }
  const std::string& name() const { return name_; }
  /// Removes the name; the memory lives while it is mapped. The maker's destructor does so too.
  void Unlink();

 private:
  SharedSegment(std::string name, bool linked) : name_(std::move(name)), linked_(linked) {}
  void Map(int file, size_t bytes);

  std::string name_;
  bool linked_;
  std::span<std::byte> data_;
};

}  // namespace lockstep::comm
