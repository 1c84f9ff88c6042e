#include "data/pictures/tar_members.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace lockstep::data {
namespace {

constexpr char kHint[] = "copy or make the archive again; it must be a plain tar, neither packed nor with sparse files";

// Where a header's fields lie: POSIX 1003.1's ustar.
constexpr size_t kNameAt = 0, kNameBytes = 100, kSizeAt = 124, kNumberBytes = 12, kSumAt = 148, kSumBytes = 8,
                 kTypeAt = 156, kMagicAt = 257, kPrefixAt = 345, kPrefixBytes = 155;

using Block = std::array<char, kTarBlock>;

std::string_view Field(const Block& block, size_t at, size_t bytes) {
  const std::string_view field(block.data() + at, bytes);
  return field.substr(0, std::min(field.find('\0'), field.size()));
}

/// Octal digits, or 8 bytes behind a byte of 0x80 (GNU's, of large files).
std::optional<uint64_t> NumberAt(const Block& block, size_t at, size_t bytes) {
  uint64_t number = 0;
  if (static_cast<unsigned char>(block[at]) == 0x80) {
    for (size_t i = at + bytes - 8; i < at + bytes; ++i) number = number << 8 | static_cast<unsigned char>(block[i]);
    return number;
  }
  bool any = false;
  for (const char c : Field(block, at, bytes)) {
    if (c == ' ') continue;
    if (c < '0' || c > '7') return std::nullopt;
    number = number * 8 + static_cast<uint64_t>(c - '0');
    any = true;
  }
  return any ? std::optional(number) : std::nullopt;
}

/// The sum of the header's bytes, its own taken for blanks.
uint64_t SumOf(const Block& block) {
  uint64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i)
    sum += i >= kSumAt && i < kSumAt + kSumBytes ? ' ' : static_cast<unsigned char>(block[i]);
  return sum;
}

bool IsHeader(const Block& block) { return NumberAt(block, kSumAt, kSumBytes) == SumOf(block); }

bool AllZero(const Block& block) {
  return std::all_of(block.begin(), block.end(), [](char c) { return c == 0; });
}

/// What pax's records and GNU's long names say of the next member.
struct Extension {
  std::optional<std::string> path;
  std::optional<uint64_t> size;
};

class Reader {
 public:
  Reader(const ReadableFile& file, const Origin& origin) : file_(file), origin_(origin) {}

  void Visit(const std::function<void(const TarMember&)>& action) {
    Extension extension;
    while (NextHeader()) {
      uint64_t size = Require(NumberAt(block_, kSizeAt, kNumberBytes), "its size is no number");
      const char type = block_[kTypeAt];
      const bool plain = type == '0' || type == '\0' || type == '7';
      if (plain && extension.size) size = *extension.size;
      if (size > file_.size() - at_) throw Bad("it is cut off: a member ends behind it");
      if (type == 'x') {
        ReadPax(Content(size), extension);
      } else if (type == 'L') {
        std::string name = Content(size);
        extension.path = name.substr(0, std::min(name.find('\0'), name.size()));
      } else if (type == 'S') {
        throw Bad("a member is sparse");
      } else {
        if (plain) action({WithoutDot(extension.path ? *extension.path : OwnName()), at_, size});
        extension = {};
      }
      at_ += std::min((size + kTarBlock - 1) / kTarBlock * kTarBlock, file_.size() - at_);
    }
  }

 private:
  Error Bad(const std::string& why) const {
    return origin_.Bad(fmt::format("the archive is damaged, or no plain tar: {} (near byte {})", why, at_), kHint);
  }

  template <typename T>
  T Require(const std::optional<T>& value, const char* why) const {
    if (!value) throw Bad(why);
    return *value;
  }

  /// Reads the next header, or finds the end: two blocks of zeros, or the file's own.
  bool NextHeader() {
    if (at_ == file_.size() && at_ > 0) return false;
    if (file_.size() - at_ < kTarBlock) throw Bad("it is cut off in a header");
    file_.ReadAt(at_, std::as_writable_bytes(std::span(block_)));
    if (AllZero(block_)) return false;
    if (!IsHeader(block_)) throw Bad("there is no header where one must be");
    at_ += kTarBlock;
    return true;
  }

  std::string Content(uint64_t size) const {
    constexpr uint64_t kMost = 1 << 20;
    if (size > kMost) throw Bad("a member's name takes more than a MiB");
    std::string content(size, '\0');
    file_.ReadAt(at_, std::as_writable_bytes(std::span(content)));
    return content;
  }

  std::string OwnName() const {
    const std::string_view name = Field(block_, kNameAt, kNameBytes);
    const bool ustar = std::string_view(block_.data() + kMagicAt, 6) == std::string_view("ustar\0", 6);
    const std::string_view prefix = ustar ? Field(block_, kPrefixAt, kPrefixBytes) : std::string_view();
    return prefix.empty() ? std::string(name) : fmt::format("{}/{}", prefix, name);
  }

  static std::string WithoutDot(std::string name) {
    while (name.starts_with("./")) name.erase(0, 2);
    return name;
  }

  /// Records of "LENGTH KEY=VALUE\n".
  void ReadPax(const std::string& records, Extension& extension) const {
    for (std::string_view rest = records; !rest.empty() && rest[0] != '\0';) {
      size_t length = 0, digits = 0;
      while (digits < rest.size() && digits < 8 && rest[digits] >= '0' && rest[digits] <= '9')
        length = length * 10 + static_cast<size_t>(rest[digits++] - '0');
      if (length > rest.size() || length < digits + 2 || rest[digits] != ' ') throw Bad("a pax record has no length");
      const std::string_view record = rest.substr(digits + 1, length - digits - 2);
      rest.remove_prefix(length);
      const size_t equals = record.find('=');
      const std::string_view key = record.substr(0, equals);
      if (equals == std::string_view::npos) throw Bad("a pax record has no value");
      const std::string_view value = record.substr(equals + 1);
      if (key == "path") extension.path = std::string(value);
      if (key == "size") extension.size = Require(Decimal(value), "a pax size is no number");
      if (key.starts_with("GNU.sparse")) throw Bad("a member is sparse");
    }
  }

  static std::optional<uint64_t> Decimal(std::string_view text) {
    constexpr size_t kMostDigits = 18;
    uint64_t number = 0;
    if (text.empty() || text.size() > kMostDigits) return std::nullopt;
    for (const char c : text) {
      if (c < '0' || c > '9') return std::nullopt;
      number = number * 10 + static_cast<uint64_t>(c - '0');
    }
    return number;
  }

  const ReadableFile& file_;
  const Origin& origin_;
  uint64_t at_ = 0;
  Block block_{};
};

}  // namespace

void VisitTar(const ReadableFile& file, const Origin& origin, const std::function<void(const TarMember&)>& action) {
  Reader(file, origin).Visit(action);
}

std::string TarHeader(const std::string& name, uint64_t size) {
  CHECK(name.size() <= kNameBytes);
  Block block{};
  const auto put = [&](size_t at, const std::string& text) {
    std::copy(text.begin(), text.end(), block.begin() + static_cast<ptrdiff_t>(at));
  };
  put(kNameAt, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  constexpr uint64_t kMostOctal = uint64_t{1} << 33;
  CHECK(size < kMostOctal);
  put(kSizeAt, fmt::format("{:011o}", size));
  put(136, "00000000000");
  block[kTypeAt] = '0';
  put(kMagicAt, std::string("ustar\0"
                            "00",
                            8));
  put(kSumAt, fmt::format("{:06o}", SumOf(block)));
  block[kSumAt + 7] = ' ';
  return {block.data(), block.size()};
}

bool IsHeaderOfSize(const std::byte* bytes, uint64_t size) {
  Block block;
  std::memcpy(block.data(), bytes, block.size());
  // A size that pax gives is none of the header's own.
  return IsHeader(block) && (NumberAt(block, kSizeAt, kNumberBytes) == size || size >= uint64_t{1} << 33);
}

}  // namespace lockstep::data
