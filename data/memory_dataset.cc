#include "data/memory_dataset.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/philox.h"

namespace lockstep::data {
namespace {

size_t RowBytes(const Field& field) { return static_cast<size_t>(field.shape.size() * SizeOf(field.dtype)); }

/// Adds 4,096 blocks of `values`, drawn from `seed`.
void AddSomeBlocks(std::span<const std::byte> values, uint64_t seed, Hasher& hasher) {
  constexpr uint64_t kBlocks = 4096, kBlockBytes = 64 << 10;
  const uint64_t blocks = (values.size() + kBlockBytes - 1) / kBlockBytes;
  for (uint64_t i = 0; i < kBlocks; ++i) {
    const uint64_t begin = Mix64(Mix64(seed) + i) % blocks * kBlockBytes;
    hasher.Add(values.subspan(begin, std::min(kBlockBytes, values.size() - begin)));
  }
}

}  // namespace

uint64_t Fingerprint(const Records& records, const FingerprintOptions& options) {
  Hasher hasher;
  hasher.AddInteger(records.format.size());
  hasher.Add(records.format);
  hasher.AddInteger(records.size);
  hasher.AddInteger(static_cast<uint64_t>(records.classes));
  uint64_t bytes = 0;
  for (const Column& column : records.columns) {
    const std::string field =
        fmt::format("{} {} {}", column.field.name, Name(column.field.dtype), column.field.shape.ToString());
    hasher.AddInteger(field.size());
    hasher.Add(field);
    hasher.AddInteger(column.values().size());
    bytes += column.values().size();
  }
  const bool whole = options.verify == Verify::FULL || bytes <= options.whole_up_to;
  for (const Column& column : records.columns) {
    if (whole) {
      hasher.Add(column.values());
    } else {
      AddSomeBlocks(column.values(), options.seed, hasher);
    }
  }
  return hasher.Digest();
}

Column LabelColumn(std::span<const int32_t> labels) {
  const auto bytes = std::as_bytes(labels);
  return {{"label", DType::kI32, Shape{}, /*padding=*/-1}, {bytes.begin(), bytes.end()}};
}

int CountClasses(std::span<const int32_t> labels) {
  return labels.empty() ? 0 : *std::max_element(labels.begin(), labels.end()) + 1;
}

namespace {

uint64_t HeldBytes(const Records& records) {
  uint64_t bytes = 0;
  for (const Column& column : records.columns) bytes += column.bytes.size();
  return bytes;
}

}  // namespace

MemoryDataset::MemoryDataset(Records records, const FingerprintOptions& options)
    : records_(std::move(records)),
      traits_{.classes = records_.classes,
              .class_names = records_.class_names,
              .table = records_.table,
              .held_bytes = HeldBytes(records_)},
      fingerprint_(Fingerprint(records_, options)) {
  for (const Column& column : records_.columns) {
    CHECK(column.values().size() == records_.size * RowBytes(column.field), "{} bytes of {} for {} samples",
          column.values().size(), column.field.name, records_.size);
    fields_.push_back(column.field);
  }
}

const Column* MemoryDataset::FindColumn(const char* name) const {
  for (const Column& column : records_.columns)
    if (column.field.name == name) return &column;
  return nullptr;
}

SampleText MemoryDataset::Describe(uint64_t, uint64_t id) const {
  CHECK(id < records_.size, "sample {} of {}", id, records_.size);
  SampleText text;
  if (!records_.names.empty()) text.name = records_.names[id];
  if (!records_.groups.empty()) text.group = records_.groups[id];
  if (const Column* label = FindColumn("label"))
    std::memcpy(&text.label, label->values().data() + id * sizeof text.label, sizeof text.label);
  return text;
}

void MemoryDataset::Read(uint64_t, uint64_t id, Sample& sample) const {
  CHECK(id < records_.size, "sample {} of {}", id, records_.size);
  sample.tensors.resize(records_.columns.size());
  for (size_t i = 0; i < records_.columns.size(); ++i) {
    const Column& column = records_.columns[i];
    const size_t bytes = RowBytes(column.field);
    sample.tensors[i].shape = column.field.shape;
    sample.tensors[i].bytes.resize(bytes);
    std::memcpy(sample.tensors[i].bytes.data(), column.values().data() + id * bytes, bytes);
  }
}

}  // namespace lockstep::data
