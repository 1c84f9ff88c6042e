// A data set held in memory: what the readers of small formats (IDX, CIFAR, CSV) make of their files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/data.pb.h"
#include "data/dataset.h"

namespace lockstep::data {

/// All samples' values of one field, one after the other, from `offset` bytes on.
struct Column {
  Field field;
  std::vector<std::byte> bytes;
  size_t offset = 0;

  std::span<const std::byte> values() const { return std::span(bytes).subspan(offset); }
};

/// What a reader makes of a file.
struct Records {
  std::string format;  ///< "idx 1": its name and the version of what the reader makes of the bytes
  uint64_t size = 0;
  std::vector<Column> columns = {};
  int classes = 0;                               ///< 0 where there is no label
  std::vector<std::string> class_names = {};     ///< as SourceTraits
  std::shared_ptr<const Table> table = nullptr;  ///< as SourceTraits
  // As SampleText, one for each sample, or none at all.
  std::vector<std::string> names = {}, groups = {};
};

/// How much of large data the fingerprint hashes, and who chooses it.
struct FingerprintOptions {
  uint64_t seed = 0;
  Verify::Value verify = Verify::AUTO;
  /// Up to this many bytes all are hashed; above, sizes and 4,096 blocks of 64 KiB chosen by the seed.
  uint64_t whole_up_to = uint64_t{1} << 30;
};

/// A hash of format, fields and values. Independent of paths and of compression.
uint64_t Fingerprint(const Records& records, const FingerprintOptions& options);

/// The labels as a column, and the number of classes: the largest label + 1.
Column LabelColumn(std::span<const int32_t> labels);
int CountClasses(std::span<const int32_t> labels);

class MemoryDataset : public Dataset {
 public:
  MemoryDataset(Records records, const FingerprintOptions& options);

  uint64_t size() const override { return records_.size; }
  std::span<const Field> fields() const override { return fields_; }
  const SourceTraits& traits() const override { return traits_; }
  uint64_t fingerprint() const override { return fingerprint_; }
  SampleText Describe(uint64_t epoch, uint64_t id) const override;
  void Read(uint64_t epoch, uint64_t id, Sample& sample) const override;

 private:
  const Column* FindColumn(const char* name) const;

  Records records_;
  std::vector<Field> fields_;
  SourceTraits traits_;
  uint64_t fingerprint_;
};

}  // namespace lockstep::data
