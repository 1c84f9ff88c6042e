#include "data/formats/tar.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace lockstep::data {
namespace {

constexpr size_t kBlock = 512;

/// A header's fields: where they begin, and their bytes.
struct Place {
  size_t begin, size;
};
constexpr Place kName{0, 100}, kSize{124, 12}, kChecksum{148, 8}, kType{156, 1}, kMagic{257, 5}, kPrefix{345, 155};

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Up to the first zero byte.
std::string_view TextOf(std::span<const std::byte> bytes, Place place = {0, std::string_view::npos}) {
  const std::string_view text = AsText(bytes).substr(place.begin, place.size);
  return text.substr(0, text.find('\0'));
}

/// A number of octal digits between blanks, or (GNU's, for large ones) big-endian behind a first bit; nothing where it
/// is neither, or above 2^62.
std::optional<uint64_t> NumberOf(std::string_view field) {
  constexpr uint64_t kMost = uint64_t{1} << 62;
  uint64_t value = 0;
  if (!field.empty() && (static_cast<uint8_t>(field[0]) & 0x80) != 0) {
    if (static_cast<uint8_t>(field[0]) != 0x80) return std::nullopt;  // negative, or far too large
    for (const char byte : field.substr(1)) {
      if (value >= kMost >> 8) return std::nullopt;
      value = value << 8 | static_cast<uint8_t>(byte);
    }
    return value;
  }
  const size_t begin = std::min(field.find_first_not_of(' '), field.size());
  const size_t end = std::min(field.find_first_of(std::string_view(" \0", 2), begin), field.size());
  for (const char digit : field.substr(begin, end - begin)) {
    if (digit < '0' || digit > '7') return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(digit - '0');  // 12 digits at most
  }
  return value;
}

bool ChecksumFits(std::span<const std::byte> header) {
  const auto stored = NumberOf(AsText(header).substr(kChecksum.begin, kChecksum.size));
  uint64_t sum = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    const bool within = i >= kChecksum.begin && i < kChecksum.begin + kChecksum.size;  // counted as blanks
    sum += within ? uint64_t{' '} : std::to_integer<uint64_t>(header[i]);
  }
  return stored == sum;
}

/// What extended headers say of the member that follows.
struct Extension {
  std::string name;
  std::optional<uint64_t> size;
};

/// pax's records, "LENGTH KEY=VALUE\n". False where they are damaged.
bool ReadPax(std::string_view text, Extension& extension) {
  text = text.substr(0, std::min(text.find('\0'), text.size()));
  while (!text.empty()) {
    size_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    const auto digits = static_cast<size_t>(end - text.data());
    if (error != std::errc() || length > text.size() || length < digits + 3 || *end != ' ' ||
        text[length - 1] != '\n') {
      return false;
    }
    const std::string_view record = text.substr(digits + 1, length - digits - 2);
    if (record.starts_with("path=")) extension.name = record.substr(5);
    if (record.starts_with("size=")) {
      uint64_t size = 0;
      const char* const last = record.data() + record.size();
      const auto number = std::from_chars(record.data() + 5, last, size);
      if (number.ec != std::errc() || number.ptr != last) return false;
      extension.size = size;
    }
    text.remove_prefix(length);
  }
  return true;
}

std::string WithoutDot(std::string name) {
  while (name.starts_with("./")) name.erase(0, 2);
  return name;
}

std::string NameOf(std::span<const std::byte> header) {
  const std::string name(TextOf(header, kName));
  const bool ustar = AsText(header).substr(kMagic.begin, kMagic.size) == "ustar";
  // GNU's own format, whose magic has a blank behind it, keeps other things where the prefix is.
  const bool gnu = AsText(header)[kMagic.begin + kMagic.size] == ' ';
  const std::string_view prefix = ustar && !gnu ? TextOf(header, kPrefix) : "";
  return prefix.empty() ? name : std::string(prefix) + "/" + name;
}

}  // namespace

TarArchive::TarArchive(std::vector<std::byte> bytes, const Origin& origin) : bytes_(std::move(bytes)) {
  const std::string again = fmt::format("copy or download it again; it is named by {}", origin.field);
  const std::span<const std::byte> all(bytes_);
  const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
  Extension extension;
  for (size_t at = 0; at < all.size();) {
    const auto header = all.subspan(at, std::min(kBlock, all.size() - at));
    if (header.size() == kBlock && std::all_of(header.begin(), header.end(), is_zero)) return;
    if (header.size() < kBlock || !ChecksumFits(header)) {
      throw origin.Bad(fmt::format("no header of tar stands at byte {}: the archive is damaged, or no tar file", at),
                       again);
    }
    const auto stored = NumberOf(AsText(header).substr(kSize.begin, kSize.size));
    const uint64_t size = extension.size.value_or(stored.value_or(all.size()));
    const std::string name = extension.name.empty() ? NameOf(header) : extension.name;
    at += kBlock;
    if (size > all.size() - at) {
      throw origin.Bad(
          fmt::format("the archive is cut off: {} has {} bytes, but {} follow", name, size, all.size() - at), again);
    }
    const auto content = all.subspan(at, size);
    at = std::min(at + (size + kBlock - 1) / kBlock * kBlock, all.size());
    switch (const char type = AsText(header)[kType.begin]) {
      case 'x':
        if (!ReadPax(AsText(content), extension)) {
          throw origin.Bad(fmt::format("the extended header in front of byte {} is damaged", at), again);
        }
        continue;
      case 'L':
        extension.name = TextOf(content);
        continue;
      case 'K':  // a long name of a link
      case 'g':  // of all members: no path and no size in practice
        continue;
      default:
        if (type == '0' || type == '\0' || type == '7') {
          if (members_.empty()) first_name_ = WithoutDot(name);
          members_.insert_or_assign(WithoutDot(name), content);
        }
        extension = {};
    }
  }
}

std::optional<std::span<const std::byte>> TarArchive::Find(const std::string& name) const {
  const auto member = members_.find(WithoutDot(name));
  if (member == members_.end()) return std::nullopt;
  return member->second;
}

}  // namespace lockstep::data
