// Where encoded pictures lie: files of a folder, or members of archives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lockstep::data {

/// Thread-safe. What can't be read throws Error(kData) naming the file.
class PictureStore {
 public:
  virtual ~PictureStore() = default;
  virtual uint64_t size() const = 0;
  /// What its source calls picture `id`: a path in the folder, a member's name. Never hangs on where the data lie.
  virtual std::string Name(uint64_t id) const = 0;
  /// What errors call it: an absolute path.
  virtual std::string Path(uint64_t id) const = 0;
  virtual uint64_t Bytes(uint64_t id) const = 0;
  /// Replaces `bytes` by the file's.
  virtual void Read(uint64_t id, std::vector<std::byte>& bytes) const = 0;
};

}  // namespace lockstep::data
