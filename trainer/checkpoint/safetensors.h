// The safetensors format (huggingface/safetensors, README "Format"): eight bytes of header length, little-endian; a
// JSON header name -> {dtype, shape, data_offsets}; the tensors' bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "base/shape.h"

namespace lockstep::checkpoint {

struct NamedTensor {
  std::string name;
  Shape shape;
  std::span<const float> data;
};

/// Writes F32 tensors, names ascending. `metadata` goes into "__metadata__".
void WriteSafetensors(FileSystem& files, const std::string& path, std::span<const NamedTensor> tensors,
                      const std::map<std::string, std::string>& metadata);

/// A file open for reading; tensors of dtype F32, F16, BF16 and F64 come out as floats. Throws Error(kCheckpoint) for
/// damaged files.
class SafetensorsFile {
 public:
  SafetensorsFile(FileSystem& files, const std::string& path);

  struct Entry {
    std::string name, dtype;
    Shape shape;
    uint64_t begin = 0, end = 0;  ///< bytes in the file
  };
  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* Find(const std::string& name) const;
  /// "__metadata__", as far as it is text.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Whether it is of a type that Read knows: floats. Others hold counters, masks and the like.
  static bool IsReadable(const Entry& entry);
  /// REQUIRES: data.size() == entry.shape.size().
  void Read(const Entry& entry, std::span<float> data) const;

 private:
  std::unique_ptr<ReadableFile> file_;
  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace lockstep::checkpoint
