// Any bytes as CSV, with any columns: a data set, Error(kData) or Error(kUsage), and nothing else.
//
// The input is seven bytes of configuration and the text.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "data/table/csv.h"
#include "data/table/inspect_table.h"

namespace {

lockstep::data::Csv Configuration(std::span<const uint8_t> bytes) {
  lockstep::data::Csv config;
  config.set_header_lines(bytes[0] & 3);
  if (bytes[0] & 4) config.set_label_column(static_cast<int8_t>(bytes[1]));
  if (bytes[0] & 8) config.add_target_columns(static_cast<int8_t>(bytes[1]));
  if (bytes[0] & 16) config.add_target_columns(static_cast<int8_t>(bytes[2]));
  if (bytes[0] & 32) {
    config.mutable_image()->set_height(bytes[3]);
    config.mutable_image()->set_width(bytes[4]);
  }
  if (bytes[0] & 64) config.set_separator(";");
  if (bytes[0] & 128) config.set_separator("\t");
  if (bytes[5] & 1) config.clear_header_lines();
  if (bytes[5] & 2) config.set_missing(lockstep::data::Missing::MEDIAN);
  if (bytes[5] & 4) config.set_missing(lockstep::data::Missing::ZERO_AND_FLAG);
  if (bytes[5] & 8) config.add_categorical(std::to_string(bytes[6] & 7));
  if (bytes[6] & 8) config.add_embedded(std::to_string(bytes[6] & 3));
  if (bytes[5] & 16) config.add_skip(std::to_string(bytes[6] >> 5));
  if (bytes[5] & 32) config.set_id(std::to_string(bytes[6] >> 4 & 1));
  if (bytes[5] & 64) config.set_decimal(",");
  return config;
}

/// What cell it is doesn't matter; that all of them are looked at does.
void Inspect(std::span<const std::byte> text) {
  try {
    lockstep::data::InspectTable(text, {"file.csv", "DATA"});
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData) throw;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kConfiguration = 7;
  if (size < kConfiguration) return 0;
  const std::span<const uint8_t> bytes(data, size);
  const std::span<const std::byte> text = std::as_bytes(bytes.subspan(kConfiguration));
  Inspect(text);
  try {
    lockstep::data::CsvOptions options;
    options.unlabeled = (bytes[5] & 128) != 0;
    const lockstep::data::MemoryDataset dataset(
        lockstep::data::ReadCsv(text, Configuration(bytes), {"file.csv", "data.train.csv"}, options), {});
    lockstep::data::Sample sample;
    for (uint64_t id = 0; id < dataset.size(); ++id) dataset.Read(0, id, sample);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData && error.kind() != lockstep::ErrorKind::kUsage) throw;
  }
  return 0;
}
