// Audio and archives that tests write for themselves.
#pragma once

#include <gtest/gtest.h>

#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <string>
#include <vector>

#include "base/files/file.h"
#include "data/data.pb.h"
#include "tests/data/test_files.h"

namespace lockstep::data {

/// As make_expected_features.py's.
inline std::vector<float> Noise(int count) {
  std::vector<float> samples;
  int64_t state = 1, last = 0;
  const auto quarter = [](int64_t value) { return (value - ((value % 4 + 4) % 4)) / 4; };  // rounded down
  for (int i = 0; i < count; ++i) {
    state = (state * 1103515245 + 12345) % (int64_t{1} << 31);
    last = quarter(last * 3 + (state >> 15) - 32768);
    const int64_t product = last * std::min(i, 400);
    const int64_t value = (product - ((product % 400 + 400) % 400)) / 400;
    samples.push_back(static_cast<float>(value) / 32768);
  }
  return samples;
}

inline std::vector<float> Sine(double hertz, int rate, int count, double amplitude = 0.5) {
  std::vector<float> samples;
  for (int i = 0; i < count; ++i)
    samples.push_back(static_cast<float>(amplitude * std::sin(2 * std::numbers::pi * hertz * i / rate)));
  return samples;
}

template <typename T>
void AppendLittleEndian(T value, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

/// A 16-bit WAV file, written byte by byte (Microsoft's "Multimedia Programming Interface and Data
/// Specifications 1.0"). `samples` of all channels in turn.
inline std::string Wav(const std::vector<float>& samples, int rate = 8000, int channels = 1) {
  std::string data;
  for (const float sample : samples) AppendLittleEndian(static_cast<int16_t>(std::lrint(sample * 32768)), data);
  std::string bytes = "RIFF";
  AppendLittleEndian(static_cast<uint32_t>(36 + data.size()), bytes);
  bytes += "WAVEfmt ";
  AppendLittleEndian(uint32_t{16}, bytes);
  AppendLittleEndian(uint16_t{1}, bytes);
  AppendLittleEndian(static_cast<uint16_t>(channels), bytes);
  AppendLittleEndian(static_cast<uint32_t>(rate), bytes);
  AppendLittleEndian(static_cast<uint32_t>(rate * channels * 2), bytes);
  AppendLittleEndian(static_cast<uint16_t>(channels * 2), bytes);
  AppendLittleEndian(uint16_t{16}, bytes);
  bytes += "data";
  AppendLittleEndian(static_cast<uint32_t>(data.size()), bytes);
  return bytes + data;
}

/// One member of a tar archive in the ustar format.
inline std::string TarMember(const std::string& name, const std::string& content, char type = '0',
                             const std::string& prefix = "") {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  header.replace(100, 7, "0000644");
  header.replace(124, 11, fmt::format("{:011o}", content.size()));
  header.replace(136, 11, "00000000000");
  header.replace(148, 8, "        ");
  header[156] = type;
  header.replace(257, 8, std::string("ustar\00000", 8));
  header.replace(345, prefix.size(), prefix);
  unsigned sum = 0;
  for (const char byte : header) sum += static_cast<uint8_t>(byte);
  header.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  return header + content + std::string((512 - content.size() % 512) % 512, '\0');
}

inline std::string TarEnd() { return std::string(1024, '\0'); }

/// A record of pax's extended headers, "LENGTH KEY=VALUE\n".
inline std::string PaxRecord(const std::string& key, const std::string& value) {
  const std::string rest = fmt::format(" {}={}\n", key, value);
  size_t length = rest.size() + 1;
  while (fmt::format("{}{}", length, rest).size() != length) ++length;
  return fmt::format("{}{}", length, rest);
}

inline std::vector<std::byte> Bytes(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

template <typename T>
T ParseText(const std::string& text) {
  T message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

}  // namespace lockstep::data
