// Any bytes as a flight record: its events, aligned with themselves, or Error(kCheckpoint), and nothing else.
//
// The input is the record without its hash, which is put behind it here: else nothing would get further than it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "comm/flight_alignment.h"
#include "comm/flight_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const uint64_t hash = Hash64(bytes);
  bytes.push_back(0x79);
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(hash >> (8 * i)));
  try {
    const comm::FlightRecord record = comm::DecodeFlightRecord(bytes, "rank-0.pb");
    comm::AlignCollectives(std::vector{record, record}, 20);
    const comm::FlightRecord again = comm::DecodeFlightRecord(comm::Encode(record), "rank-0.pb");
    CHECK(again.events_size() == record.events_size());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCheckpoint) throw;
  }
  return 0;
}
