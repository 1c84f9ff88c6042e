// What a cell of a table says: a number, nothing, or words.
#pragma once

#include <string>
#include <string_view>

namespace lockstep::data {

struct Cell {
  enum Kind { kNumber, kMissing, kWord };
  Kind kind = kWord;
  float number = 0;  ///< of kNumber
};

/// A finite number that a float holds is one, without a locale (1.5, -2e3), with `decimal` between whole and parts;
/// what is closer to 0 than any number is 0. True and False are 1 and 0. Nothing is "", NA, NaN, null, None, ? and what
/// else pandas takes for it. All else are words. `text` has no blanks or quotes around it.
Cell ReadCell(std::string_view text, char decimal = '.');

/// Whether the word looks like a date: 2024-05-17, 17.05.2024, 5/17/24, with or without a time.
bool LooksLikeDate(std::string_view word);

/// Without blanks around it, and without quotes around that.
std::string_view TrimCell(std::string_view cell);

/// A trimmed cell as it is meant: two quotes are one.
std::string UnquoteCell(std::string_view cell);

}  // namespace lockstep::data
