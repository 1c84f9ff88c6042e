// Text files of one sentence a line.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/source_file.h"

namespace lockstep::data {

/// The lines of `bytes`, without blanks (Unicode's White_Space) at their ends. A line ends at LF; what follows the last
/// LF is a line where it is not empty. A byte order mark in front is left out. Throws Error(kData), with the line,
/// where there is none or text is no UTF-8.
std::vector<std::string> ReadLines(std::span<const std::byte> bytes, const Origin& origin);

/// `text` without Unicode's White_Space at its ends. REQUIRES: it is UTF-8.
std::string_view StripBlanks(std::string_view text);

}  // namespace lockstep::data
