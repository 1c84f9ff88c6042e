#include "data/formats/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

namespace lockstep::data {
namespace {

/// libarchive converts the names of pax and zip, which are UTF-8, to the character set of the thread's locale. The
/// program's own has none beyond ASCII, so that while this lives the thread has one of UTF-8, whatever the environment.
class Utf8Locale {
 public:
  Utf8Locale() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{})) {
    if (locale_ != locale_t{}) before_ = uselocale(locale_);
  }
  ~Utf8Locale() {
    if (locale_ == locale_t{}) return;
    uselocale(before_);
    freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t locale_;
  locale_t before_ = {};
};

std::string WithoutDot(std::string name) {
  while (name.starts_with("./")) name.erase(0, 2);
  return name;
}

/// Unicode's normalization form C of `name`, which is what libarchive makes of pax's names; `name` where it is no
/// UTF-8.
std::string Composed(const std::string& name) {
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(name.data()), static_cast<utf8proc_ssize_t>(name.size()),
                   &composed, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (size < 0) return name;
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
  return {reinterpret_cast<const char*>(composed), static_cast<size_t>(size)};
}

}  // namespace

/// libarchive's handle, and errors that say where the archive is damaged.
class Archive::Reader {
 public:
  Reader(std::span<const std::byte> bytes, const Origin& origin) : bytes_(bytes), origin_(origin) {
    CHECK(handle_ != nullptr, "libarchive is out of memory");
    // A file of no bytes is an archive of no members.
    archive_read_support_format_empty(handle_.get());
    archive_read_support_format_tar(handle_.get());
    archive_read_support_format_zip(handle_.get());
    Require(archive_read_open_memory(handle_.get(), bytes.data(), bytes.size()));
  }

  /// The next member; null behind the last.
  archive_entry* Next() {
    archive_entry* entry = nullptr;
    in_header_ = true;
    const int result = archive_read_next_header(handle_.get(), &entry);
    if (result == ARCHIVE_EOF) return nullptr;
    Require(result);
    in_header_ = false;
    name_ = archive_entry_pathname(entry) == nullptr ? "" : WithoutDot(archive_entry_pathname(entry));
    return entry;
  }
  const std::string& name() const { return name_; }

  /// The member's next bytes, and where they stand in it; false at its end.
  bool NextBlock(std::span<const std::byte>& block, size_t& offset) {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t at = 0;
    const int result = archive_read_data_block(handle_.get(), &data, &size, &at);
    offset = static_cast<size_t>(at);
    if (result == ARCHIVE_EOF) return false;
    Require(result);
    block = {static_cast<const std::byte*>(data), size};
    return true;
  }

  /// Refuses warnings too: they are names that can't be read, and headers that are passed over.
  void Require(int result) {
    if (result == ARCHIVE_OK) return;
    const char* const why = archive_error_string(handle_.get());
    throw Bad(why == nullptr ? "it can't be read" : why);
  }

  Error Bad(const std::string& why) const {
    const std::string begin = fmt::format("{}, which begins at byte {}", name_,
                                          archive_read_header_position(handle_.get())),
                      header = fmt::format("the header near byte {}{}", archive_filter_bytes(handle_.get(), 0),
                                           name_.empty() ? "" : ", behind " + name_);
    return origin_.Bad(
        fmt::format("the archive is damaged or cut off, or no tar or zip: {} (in {}; there are {} bytes)", why,
                    in_header_ ? header : begin, bytes_.size()),
        fmt::format("copy or download it again; it is named by {}", origin_.field));
  }

 private:
  const std::span<const std::byte> bytes_;
  const Origin& origin_;
  const std::unique_ptr<archive, decltype(&archive_read_free)> handle_{archive_read_new(), &archive_read_free};
  std::string name_;       ///< of the last member whose header was read
  bool in_header_ = true;  ///< of the one behind it
};

Archive::Archive(std::vector<std::byte> bytes, const Origin& origin) : bytes_(std::move(bytes)) {
  const Utf8Locale utf8;
  Reader reader(bytes_, origin);
  while (archive_entry* const entry = reader.Next()) {
    if (const char* const target = archive_entry_hardlink(entry)) {
      if (const auto content = Find(target)) members_.insert_or_assign(reader.name(), *content);
    } else if (archive_entry_filetype(entry) == AE_IFREG) {
      Add(reader);
    }
  }
}

void Archive::Add(Reader& reader) {
  constexpr size_t kLargestRatio = 1032;  // of deflate
  std::span<const std::byte> content, block;
  std::vector<std::byte> copy;
  size_t offset = 0;
  while (reader.NextBlock(block, offset)) {
    if (block.empty()) continue;
    const bool follows = copy.empty() && offset == content.size() && block.data() >= bytes_.data() &&
                         block.data() + block.size() <= bytes_.data() + bytes_.size() &&
                         (content.empty() || content.data() + content.size() == block.data());
    if (follows) {  // nothing is packed: it stays where it is
      content = {content.empty() ? block.data() : content.data(), content.size() + block.size()};
      continue;
    }
    if (offset > kLargestRatio * bytes_.size() ||
        unpacked_bytes_ + offset + block.size() > kLargestRatio * bytes_.size()) {
      throw reader.Bad(fmt::format("{} unpacks to far more than it may", reader.name()));
    }
    if (copy.empty()) copy.assign(content.begin(), content.end());
    copy.resize(std::max(copy.size(), offset + block.size()));  // what is not written is a hole, of zeros
    std::copy(block.begin(), block.end(), copy.begin() + static_cast<ptrdiff_t>(offset));
  }
  if (copy.empty() ? offset > content.size() : offset > copy.size()) {  // a hole at the end
    if (unpacked_bytes_ + offset > kLargestRatio * bytes_.size())
      throw reader.Bad(fmt::format("{} unpacks to far more than it may", reader.name()));
    if (copy.empty()) copy.assign(content.begin(), content.end());
    copy.resize(offset);
  }
  if (!copy.empty()) {
    unpacked_bytes_ += copy.size();
    content = unpacked_.emplace_back(std::move(copy));
  }
  if (members_.empty()) first_name_ = reader.name();
  members_.insert_or_assign(reader.name(), content);
}

std::optional<std::span<const std::byte>> Archive::Find(const std::string& name) const {
  const std::string wanted = WithoutDot(name);
  auto member = members_.find(wanted);
  if (member == members_.end()) member = members_.find(Composed(wanted));
  if (member == members_.end()) return std::nullopt;
  return member->second;
}

std::vector<std::string> Archive::Names() const {
  std::vector<std::string> names;
  for (const auto& member : members_) names.push_back(member.first);
  std::sort(names.begin(), names.end());
  return names;
}

size_t MemberBegin(const std::string& path) {
  size_t begin = std::string::npos;
  for (const std::string_view end : {".tar:", ".tar.gz:", ".tgz:", ".zip:"}) {
    if (const size_t at = path.find(end); at != std::string::npos) begin = std::min(begin, at + end.size());
  }
  return begin;
}

}  // namespace lockstep::data
