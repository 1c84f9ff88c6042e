// Archives of tar: POSIX ustar, with pax's and GNU's long names (POSIX.1-2017 pax, "tar" in GNU's manual, section
// "Basic Tar Format").
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/source_file.h"

namespace lockstep::data {

/// The regular files of an archive in memory, by name. Immutable.
class TarArchive {
 public:
  /// Throws Error(kData) where a header is damaged or the archive is cut off.
  TarArchive(std::vector<std::byte> bytes, const Origin& origin);

  /// The content of member `name`; nothing where there is none. Of members of one name it is the last, as tar has it.
  /// "./" in front of names doesn't count.
  std::optional<std::span<const std::byte>> Find(const std::string& name) const;
  size_t size() const { return members_.size(); }
  /// The first member's name, "" where there is none.
  const std::string& first_name() const { return first_name_; }

 private:
  std::vector<std::byte> bytes_;
  std::unordered_map<std::string, std::span<const std::byte>> members_;
  std::string first_name_;
};

}  // namespace lockstep::data
