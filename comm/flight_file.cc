#include "comm/flight_file.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/hash.h"
#include "base/mutex.h"

namespace lockstep::comm {
namespace {

constexpr uint32_t kFormatVersion = 1;
/// Protobuf writes fields by ascending number, so the hash (field 15, 64 bits) comes last. It is written by hand: a
/// hash of 0 would be left out.
constexpr char kSelfHashTag = (15 << 3) | 1;
constexpr size_t kSelfHashBytes = 9;
/// Events and texts are bounded, so records are; whatever is larger is no record.
constexpr size_t kMaxBytes = size_t{4} << 20;
constexpr int kMaxRanks = 1 << 20;
constexpr auto kWriteLimit = std::chrono::seconds(2);

[[noreturn]] void Refuse(const std::string& where, std::string message, std::string hint = "") {
  throw Error(ErrorKind::kCheckpoint, std::move(message), where, std::move(hint));
}

template <typename Message>
std::string EncodeMessage(Message message) {
  message.set_format_version(kFormatVersion);
  message.clear_self_hash();
  std::string bytes = message.SerializeAsString();
  const uint64_t hash = Hash64(bytes);
  bytes.push_back(kSelfHashTag);
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(hash >> (8 * i)));
  return bytes;
}

/// `kind`: "heartbeat" or "flight record".
template <typename Message>
Message DecodeMessage(std::string_view bytes, const std::string& where, const char* kind) {
  if (bytes.size() <= kSelfHashBytes || bytes.size() > kMaxBytes)
    Refuse(where, fmt::format("not a {}: it has {} bytes", kind, bytes.size()));
  const std::string_view body = bytes.substr(0, bytes.size() - kSelfHashBytes);
  const std::string_view tail = bytes.substr(body.size());
  uint64_t hash = 0;
  for (size_t i = 0; i < 8; ++i) hash |= uint64_t{static_cast<unsigned char>(tail[1 + i])} << (8 * i);
  Message message;
  if (tail[0] != kSelfHashTag || hash != Hash64(body) ||
      !message.ParseFromArray(body.data(), static_cast<int>(body.size())))
    Refuse(where, fmt::format("not a {}, or a damaged one: its hash does not fit its bytes", kind));
  if (message.format_version() > kFormatVersion)
    Refuse(where,
           fmt::format("{} of format {}; this program reads up to {}", kind, message.format_version(), kFormatVersion),
           "read it with the version that wrote it, or a newer one");
  if (message.format_version() < 1 || message.world_size() < 1 || message.world_size() > kMaxRanks ||
      message.rank() < 0 || message.rank() >= message.world_size())
    Refuse(where, fmt::format("not a {}: rank {} of {}, format {}", kind, message.rank(), message.world_size(),
                              message.format_version()));
  return message;
}

}  // namespace

std::string RankFileName(int rank) { return fmt::format("rank-{}.pb", rank); }

std::string Encode(Heartbeat heartbeat) { return EncodeMessage(std::move(heartbeat)); }
std::string Encode(FlightRecord record) { return EncodeMessage(std::move(record)); }

Heartbeat DecodeHeartbeat(std::string_view bytes, const std::string& where) {
  return DecodeMessage<Heartbeat>(bytes, where, "heartbeat");
}

FlightRecord DecodeFlightRecord(std::string_view bytes, const std::string& where) {
  return DecodeMessage<FlightRecord>(bytes, where, "flight record");
}

void ReplaceFile(FileSystem& files, const std::string& path, std::string_view bytes) {
  WriteAtomically(files, path, Durability::kProcess,
                  [&](WritableFile& file) { file.Append(std::as_bytes(std::span(bytes))); });
}

bool WriteFlightRecord(FileSystem& files, const FlightRecorder& recorder, const std::string& folder,
                       const std::string& ending) {
  struct Outcome {
    Mutex mutex;
    CondVar changed;
    bool ended GUARDED_BY(mutex) = false;
    bool written GUARDED_BY(mutex) = false;
  };
  try {
    const auto outcome = std::make_shared<Outcome>();
    // A write to a dead disk never returns: such a thread is left behind.
    std::thread([&files, outcome, folder, path = folder + "/" + RankFileName(recorder.rank()),
                 bytes = Encode(recorder.Record(ending))] {
      bool written = false;
      try {
        files.CreateFolders(folder);
        ReplaceFile(files, path, bytes);
        written = true;
      } catch (const std::exception&) {
      }
      MutexLock lock(outcome->mutex);
      outcome->ended = true;
      outcome->written = written;
      outcome->changed.NotifyAll();
    }).detach();
    const auto end = std::chrono::steady_clock::now() + kWriteLimit;
    MutexLock lock(outcome->mutex);
    while (!outcome->ended && outcome->changed.WaitUntil(outcome->mutex, end)) continue;
    return outcome->written;
  } catch (const std::exception&) {  // no memory, no threads
    return false;
  }
}

std::vector<FlightRecord> ReadFlightRecords(FileSystem& files, const std::string& path,
                                            std::vector<std::string>* damaged) {
  const auto read = [&](const std::string& file) {
    std::string bytes;
    try {
      bytes = ReadWholeFile(files, file);
    } catch (const Error& error) {
      throw Error(ErrorKind::kCheckpoint, error.message(), error.where(), error.hint());
    }
    return DecodeFlightRecord(bytes, file);
  };
  if (path.ends_with(".pb")) return {read(path)};
  std::vector<FlightRecord> records;
  std::optional<Error> first;
  for (const std::string& name : files.List(path)) {
    if (!name.starts_with("rank-") || !name.ends_with(".pb")) continue;
    try {
      records.push_back(read(path + "/" + name));
    } catch (const Error& error) {
      if (!first) first = error;
      damaged->push_back(error.what());
    }
  }
  if (records.empty() && first) throw *first;
  if (records.empty()) Refuse(path, "no flight records (rank-N.pb) in this folder");
  std::sort(records.begin(), records.end(),
            [](const FlightRecord& a, const FlightRecord& b) { return a.rank() < b.rank(); });
  return records;
}

}  // namespace lockstep::comm
