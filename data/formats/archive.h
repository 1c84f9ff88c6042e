// Archives of files: tar (ustar, pax and GNU, with sparse members and hard links) and zip, read by libarchive.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/source_file.h"

namespace lockstep::data {

/// The regular files of an archive in memory, by name. Immutable.
class Archive {
 public:
  /// Throws Error(kData) where the archive is damaged or cut off, or unpacks to more than bytes of its size can hold.
  Archive(std::vector<std::byte> bytes, const Origin& origin);

  /// The content of member `name`; nothing where there is none. Of members of one name it is the last, as tar has it.
  /// "./" in front of names doesn't count, nor does whether accents are composed (pax's names are read in form C).
  std::optional<std::span<const std::byte>> Find(const std::string& name) const;
  size_t size() const { return members_.size(); }
  /// Of all members, sorted.
  std::vector<std::string> Names() const;
  /// The first member's name, "" where there is none.
  const std::string& first_name() const { return first_name_; }

 private:
  class Reader;

  void Add(Reader& reader);

  std::vector<std::byte> bytes_;
  std::deque<std::vector<std::byte>> unpacked_;  ///< members that don't lie in bytes_ as they are
  size_t unpacked_bytes_ = 0;
  std::unordered_map<std::string, std::span<const std::byte>> members_;
  std::string first_name_;
};

/// Where the member's name begins in "recordings.tar.gz:digits/7.wav"; npos where the path names no archive.
size_t MemberBegin(const std::string& path);

}  // namespace lockstep::data
