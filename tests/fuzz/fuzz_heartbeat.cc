// Any bytes as the heartbeats of two ranks: a diagnosis of one line, or Error(kCheckpoint), and nothing else.
//
// The input is the length of the first (one byte) and both without their hashes, which are put behind them here: else
// nothing would get further than them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "comm/diagnosis.h"
#include "comm/flight_file.h"

namespace {

lockstep::comm::Sighting Sight(std::string bytes) {
  const uint64_t hash = lockstep::Hash64(bytes);
  bytes.push_back(0x79);
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(hash >> (8 * i)));
  lockstep::comm::Sighting sighting;
  sighting.age_seconds = static_cast<double>(hash % 64);
  try {
    sighting.heartbeat = lockstep::comm::DecodeHeartbeat(bytes, "rank-0.pb");
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::kCheckpoint) throw;
  }
  return sighting;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  if (size < 1) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t split = std::min<size_t>(data[0], bytes.size());
  comm::Topology topology;
  topology.world_size = 3;
  topology.host_of = {0, 0, 1};
  topology.hosts = {{0, 1}, {2}};
  topology.host_name_of = {"h1", "h1", "h2"};
  const std::vector<comm::Sighting> ranks = {Sight(bytes.substr(0, split)), Sight(bytes.substr(split)), {}};
  for (const size_t count : {2u, 3u}) {
    comm::Topology some = topology;
    some.host_name_of.resize(count);
    const comm::Diagnosis diagnosis = comm::Diagnose(std::span(ranks).first(count), some, 30);
    CHECK(!diagnosis.message.empty() && std::is_sorted(diagnosis.culprits.begin(), diagnosis.culprits.end()));
  }
  return 0;
}
