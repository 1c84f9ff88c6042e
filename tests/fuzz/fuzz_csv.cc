// Any bytes as CSV, with any columns: a data set, Error(kData) or Error(kUsage), and nothing else.
//
// The input is five bytes of configuration and the text.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "data/table/csv.h"

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
  return config;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kConfiguration = 5;
  if (size < kConfiguration) return 0;
  const std::span<const uint8_t> bytes(data, size);
  try {
    const lockstep::data::MemoryDataset dataset(
        lockstep::data::ReadCsv(std::as_bytes(bytes.subspan(kConfiguration)), Configuration(bytes),
                                {"file.csv", "data.train.csv"}),
        {});
    lockstep::data::Sample sample;
    for (uint64_t id = 0; id < dataset.size(); ++id) dataset.Read(0, id, sample);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kData && error.kind() != lockstep::ErrorKind::kUsage) throw;
  }
  return 0;
}
