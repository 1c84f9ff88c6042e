// What a CSV file looks like, for who has to say how it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/origin.h"

namespace lockstep::data {

struct InspectedColumn {
  std::string name;  ///< its heading; without one its number
  uint64_t numbers = 0, missing = 0, words = 0, dates = 0;
  bool integers = true;                    ///< of its numbers
  bool increasing = true;                  ///< each is larger than the one before
  double least = 0, most = 0;              ///< of its numbers
  std::map<std::string, uint64_t> counts;  ///< of different cells, the first kMostCounted of them; missing ones apart
  bool many = false;                       ///< there are more different ones
  static constexpr size_t kMostCounted = 1001;

  uint64_t rows() const { return numbers + missing + words; }
};

struct InspectedTable {
  char separator = ',';
  char decimal = '.';
  bool heading = false;
  uint64_t rows = 0;
  uint64_t ragged = 0;  ///< rows with another number of columns, which are not counted
  std::vector<InspectedColumn> columns;
};

/// Finds the separator (, ; tab |) that parts most rows alike, the decimal character and the heading, and looks at all
/// cells. Throws Error(kData) where there are no rows.
InspectedTable InspectTable(std::span<const std::byte> text, const Origin& origin);

}  // namespace lockstep::data
