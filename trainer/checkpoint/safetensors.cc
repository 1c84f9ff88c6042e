#include "trainer/checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/json_fields.h"
#include "trainer/checkpoint/durable_write.h"

namespace lockstep::checkpoint {
namespace {

constexpr uint64_t kLengthBytes = 8;
/// What the reference implementation accepts.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr char kMetadata[] = "__metadata__";

template <typename... Args>
[[noreturn]] void Damaged(const std::string& where, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::kCheckpoint,
              "not a good safetensors file: " + fmt::format(format, std::forward<Args>(args)...), where);
}

std::optional<uint64_t> BytesOf(const std::string& dtype) {
  static const std::map<std::string, uint64_t> kBytes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"U16", 2}, {"I16", 2}, {"F16", 2},
      {"BF16", 2}, {"U32", 4}, {"I32", 4}, {"F32", 4},     {"U64", 8},     {"I64", 8}, {"F64", 8}};
  const auto found = kBytes.find(dtype);
  return found == kBytes.end() ? std::nullopt : std::optional(found->second);
}

float FromHalf(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu, fraction = half & 0x3FFu;
  if (exponent == 0) {
    // Zero or subnormal: fraction * 2^-24, exact in float.
    const float value = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
  }
  const uint32_t widened = exponent == 31 ? 255 : exponent - 15 + 127;
  return std::bit_cast<float>(sign | (widened << 23) | (fraction << 13));
}

float FromBFloat16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

/// Parses the header; names that are there twice are an error, which JSON parsers let pass.
Json ParseHeader(const std::string& text, const std::string& where) {
  std::set<std::string> names;
  std::string twice;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth == 1 && event == Json::parse_event_t::key && !names.insert(parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
    return true;
  };
  Json header = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (header.is_discarded() || !header.is_object()) Damaged(where, "its header is no JSON object");
  if (!twice.empty()) Damaged(where, "tensor '{}' is there twice", twice);
  return header;
}

SafetensorsFile::Entry ParseEntry(const std::string& name, const Json& json, uint64_t data_begin, uint64_t data_bytes,
                                  const std::string& where) {
  const auto is_sizes = [](const Json& list) {
    return list.is_array() &&
           std::all_of(list.begin(), list.end(), [](const Json& value) { return value.is_number_unsigned(); });
  };
  if (!json.is_object() || !json.contains("dtype") || !json["dtype"].is_string() || !json.contains("shape") ||
      !is_sizes(json["shape"]) || !json.contains("data_offsets") || !is_sizes(json["data_offsets"]) ||
      json["data_offsets"].size() != 2)
    Damaged(where, "tensor '{}' lacks dtype, shape or data_offsets", name);
  SafetensorsFile::Entry entry;
  entry.name = name;
  entry.dtype = json["dtype"].get<std::string>();
  const auto begin = json["data_offsets"][0].get<uint64_t>(), end = json["data_offsets"][1].get<uint64_t>();
  if (begin > end || end > data_bytes) Damaged(where, "tensor '{}' lies outside the file", name);
  entry.begin = data_begin + begin;
  entry.end = data_begin + end;
  if (json["shape"].size() > Shape::kMaxRank)
    Damaged(where, "tensor '{}' has {} dimensions; Lockstep reads up to {}", name, json["shape"].size(),
            Shape::kMaxRank);
  std::vector<int64_t> dims;
  uint64_t elements = 1;
  for (const Json& value : json["shape"]) {
    const auto dim = value.get<uint64_t>();
    if (dim > (uint64_t{1} << 48) || (dim != 0 && elements > (uint64_t{1} << 48) / dim))
      Damaged(where, "tensor '{}' has a dimension of {}", name, dim);
    elements *= dim;
    dims.push_back(static_cast<int64_t>(dim));
  }
  entry.shape = Shape(dims);
  const std::optional<uint64_t> width = BytesOf(entry.dtype);
  if (width && elements * *width != end - begin)
    Damaged(where, "tensor '{}' has {} bytes, not the {} of its shape {}", name, end - begin, elements * *width,
            entry.shape.ToString());
  return entry;
}

std::map<std::string, std::string> ParseMetadata(const Json& json) {
  std::map<std::string, std::string> metadata;
  if (!json.is_object()) return metadata;
  for (const auto& [name, value] : json.items())
    if (value.is_string()) metadata[name] = value.get<std::string>();
  return metadata;
}

/// The tensors' bytes fill [begin, end) of the file without holes or overlaps, as the format asks.
void CheckTiling(const std::vector<SafetensorsFile::Entry>& entries, uint64_t begin, uint64_t end,
                 const std::string& where) {
  std::vector<const SafetensorsFile::Entry*> by_place;
  for (const SafetensorsFile::Entry& entry : entries) by_place.push_back(&entry);
  std::sort(by_place.begin(), by_place.end(),
            [](const auto* a, const auto* b) { return std::pair(a->begin, a->end) < std::pair(b->begin, b->end); });
  uint64_t covered = begin;
  for (const SafetensorsFile::Entry* entry : by_place) {
    if (entry->begin != covered) Damaged(where, "there is a hole or an overlap before tensor '{}'", entry->name);
    covered = entry->end;
  }
  if (covered != end) Damaged(where, "{} bytes are left after the last tensor", end - covered);
}

std::string EncodeHeader(std::span<const NamedTensor* const> tensors,
                         const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  uint64_t offset = 0;
  for (const NamedTensor* tensor : tensors) {
    const uint64_t end = offset + tensor->data.size_bytes();
    header[tensor->name] = {{"dtype", "F32"}, {"shape", tensor->shape.dims()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = DumpJson(header);
  // Spaces, as the format says, so that the tensors' bytes are aligned.
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::string bytes(kLengthBytes, '\0');
  for (size_t i = 0; i < kLengthBytes; ++i) bytes[i] = static_cast<char>(length >> (8 * i));
  return bytes + text;
}

}  // namespace

void WriteSafetensors(FileSystem& files, const std::string& path, std::span<const NamedTensor> tensors,
                      const std::map<std::string, std::string>& metadata) {
  std::vector<const NamedTensor*> sorted;
  for (const NamedTensor& tensor : tensors) {
    CHECK(static_cast<size_t>(tensor.shape.size()) == tensor.data.size(), "{}", tensor.name);
    CHECK(tensor.name != kMetadata);
    sorted.push_back(&tensor);
  }
  std::sort(sorted.begin(), sorted.end(), [](const NamedTensor* a, const NamedTensor* b) { return a->name < b->name; });
  for (size_t i = 1; i < sorted.size(); ++i) CHECK(sorted[i - 1]->name != sorted[i]->name, "{}", sorted[i]->name);
  const std::string header = EncodeHeader(sorted, metadata);
  AsCheckpointError([&] {
    WriteAtomically(files, path, Durability::kMachine, [&](WritableFile& out) {
      out.Append(std::as_bytes(std::span(header)));
      for (const NamedTensor* tensor : sorted) out.Append(std::as_bytes(tensor->data));
    });
  });
}

SafetensorsFile::SafetensorsFile(FileSystem& files, const std::string& path) {
  AsCheckpointError([&] {
    file_ = files.Open(path);
    if (file_->size() < kLengthBytes) Damaged(path, "it has only {} bytes", file_->size());
    uint64_t length = 0;
    file_->ReadAt(0, std::as_writable_bytes(std::span(&length, 1)));
    if (length > kMaxHeaderBytes || length > file_->size() - kLengthBytes)
      Damaged(path, "its header would have {} bytes", length);
    std::string text(static_cast<size_t>(length), '\0');
    file_->ReadAt(kLengthBytes, std::as_writable_bytes(std::span(text)));
    if (!text.starts_with('{')) Damaged(path, "its header does not begin with '{{'");
    const uint64_t data_begin = kLengthBytes + length;
    const Json header = ParseHeader(text, path);
    for (const auto& [name, json] : header.items()) {
      if (name == kMetadata) {
        metadata_ = ParseMetadata(json);
      } else {
        entries_.push_back(ParseEntry(name, json, data_begin, file_->size() - data_begin, path));
      }
    }
    CheckTiling(entries_, data_begin, file_->size(), path);
  });
}

const SafetensorsFile::Entry* SafetensorsFile::Find(const std::string& name) const {
  for (const Entry& entry : entries_)
    if (entry.name == name) return &entry;
  return nullptr;
}

bool SafetensorsFile::IsReadable(const Entry& entry) {
  constexpr std::array<std::string_view, 4> kFloats = {"F32", "F16", "BF16", "F64"};
  return std::find(kFloats.begin(), kFloats.end(), entry.dtype) != kFloats.end();
}

void SafetensorsFile::Read(const Entry& entry, std::span<float> data) const {
  CHECK(static_cast<size_t>(entry.shape.size()) == data.size(), "{}", entry.name);
  const auto read_as = [&]<typename T>(T, auto convert) {
    std::vector<T> values(data.size());
    file_->ReadAt(entry.begin, std::as_writable_bytes(std::span(values)));
    std::transform(values.begin(), values.end(), data.begin(), convert);
  };
  AsCheckpointError([&] {
    if (entry.dtype == "F32") {
      file_->ReadAt(entry.begin, std::as_writable_bytes(data));
    } else if (entry.dtype == "F16") {
      read_as(uint16_t{}, FromHalf);
    } else if (entry.dtype == "BF16") {
      read_as(uint16_t{}, FromBFloat16);
    } else if (entry.dtype == "F64") {
      read_as(double{}, [](double value) { return static_cast<float>(value); });
    } else {
      throw Error(
          ErrorKind::kCheckpoint,
          fmt::format("tensor '{}' is of type {}; Lockstep reads F32, F16, BF16 and F64", entry.name, entry.dtype));
    }
  });
}

}  // namespace lockstep::checkpoint
