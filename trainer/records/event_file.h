// Writes a run's numbers for TensorBoard: an event file an attempt, events.out.tfevents.TIME.HOST.ATTEMPT, whose names
// sort in the order of attempts. The format is TensorFlow's: records of a length (uint64), its checksum, an Event
// (tensorboard.proto), its checksum; checksums are CRC-32C (RFC 3720), masked; all little endian.
//
// Each file begins with the session log's START at the step behind the one that the attempt goes on from: TensorBoard
// then leaves out what earlier files say of that step and later ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/files/file.h"

namespace lockstep::records {

/// CRC-32C, with the Castagnoli polynomial.
uint32_t Crc32c(std::span<const std::byte> bytes);

/// `data` as a record.
std::string FrameRecord(const std::string& data);

/// Not thread-safe.
class EventFile {
 public:
  struct Options {
    std::string folder;  ///< made where it is missing
    std::string host;
    uint32_t attempt = 0;
    uint64_t from_step = 0;  ///< the finished step that the attempt goes on from
  };
  using Values = std::vector<std::pair<std::string, double>>;

  /// Nothing is written before the first values come.
  EventFile(FileSystem& files, Options options);
  ~EventFile();

  /// Writes `values` of `step`, each under its tag; `time` in seconds since 1970. Where that fails, a warning says so,
  /// and nothing more is written: a record that is cut off would hide those behind it.
  void Add(uint64_t step, double time, const Values& values) noexcept;

 private:
  void Begin(double time);
  void Append(const std::string& data);

  FileSystem& files_;
  const Options options_;
  std::string path_;
  std::unique_ptr<WritableFile> file_;
  uint64_t size_ = 0, opened_at_ = 0;
  bool failed_ = false;
};

}  // namespace lockstep::records
