#include "trainer/records/event_file.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "trainer/records/tensorboard.pb.h"

namespace lockstep::records {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78, kMask = 0xA282EAD8;
constexpr const char* kFileVersion = "brain.Event:2";
// Behind some megabytes files are written in large blocks, which nobody could read before they are full.
constexpr uint64_t kReopenAfter = uint64_t{1} << 20;

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? kPolynomial : 0);
    table[i] = value;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = MakeTable();

template <typename Integer>
void AppendLittleEndian(Integer value, std::string& to) {
  for (size_t i = 0; i < sizeof(value); ++i) to += static_cast<char>(value >> (8 * i) & 0xFF);
}

std::span<const std::byte> BytesOf(const std::string& text) { return std::as_bytes(std::span(text)); }

uint32_t MaskedCrc(const std::string& bytes) {
  const uint32_t crc = Crc32c(BytesOf(bytes));
  return (crc >> 15 | crc << 17) + kMask;
}

/// Of a host's name what may stand between the dots of a file's.
std::string PlainName(const std::string& host) {
  std::string name;
  for (const char c : host) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-';
  return name.empty() ? "host" : name;
}

}  // namespace

uint32_t Crc32c(std::span<const std::byte> bytes) {
  uint32_t crc = ~uint32_t{0};
  for (const std::byte byte : bytes) crc = crc >> 8 ^ kTable[(crc ^ static_cast<uint32_t>(byte)) & 0xFF];
  return ~crc;
}

std::string FrameRecord(const std::string& data) {
  std::string record;
  AppendLittleEndian(static_cast<uint64_t>(data.size()), record);
  AppendLittleEndian(MaskedCrc(record), record);
  record += data;
  AppendLittleEndian(MaskedCrc(data), record);
  return record;
}

EventFile::EventFile(FileSystem& files, Options options) : files_(files), options_(std::move(options)) {}

EventFile::~EventFile() = default;

void EventFile::Append(const std::string& data) {
  if (size_ - opened_at_ >= kReopenAfter) {
    file_->Close();
    file_ = files_.OpenAt(path_, size_);
    opened_at_ = size_;
  }
  const std::string record = FrameRecord(data);
  file_->Append(BytesOf(record));
  size_ += record.size();
}

void EventFile::Begin(double time) {
  files_.CreateFolders(options_.folder);
  path_ = fmt::format("{}/events.out.tfevents.{:.0f}.{}.{:04}", options_.folder, std::floor(time),
                      PlainName(options_.host), options_.attempt);
  file_ = files_.Create(path_);
  Event event;
  event.set_wall_time(time);
  event.set_file_version(kFileVersion);
  Append(event.SerializeAsString());
  event.set_step(static_cast<int64_t>(options_.from_step) + 1);
  event.mutable_session_log()->set_status(SessionLog::START);
  Append(event.SerializeAsString());
}

void EventFile::Add(uint64_t step, double time, const Values& values) noexcept {
  if (failed_) return;
  try {
    if (file_ == nullptr) Begin(time);
    Event event;
    event.set_wall_time(time);
    event.set_step(static_cast<int64_t>(step));
    for (const auto& [tag, value] : values) {
      Summary::Value& one = *event.mutable_summary()->add_value();
      one.set_tag(tag);
      one.set_simple_value(static_cast<float>(value));
    }
    Append(event.SerializeAsString());
  } catch (const std::exception& error) {
    failed_ = true;
    file_.reset();
    LogWarning("{}; training goes on, and TensorBoard's rows are missing from step {} on", error.what(), step);
  }
}

}  // namespace lockstep::records
