// Unicode's blanks in UTF-8, as Python's str.split() knows them: what sacreBLEU's scores rest on.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace lockstep::metrics {

/// Bytes of the blank that `text` begins with; 0 where it begins with none.
size_t BlankBytes(std::string_view text);

/// What stands between blanks; there are no empty words.
std::vector<std::string_view> WordsBetweenBlanks(std::string_view text);

}  // namespace lockstep::metrics
