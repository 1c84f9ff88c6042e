// Numbers as programs write them (-1.25, 3e-05), read fast.
#pragma once

namespace lockstep::data {

/// Reads the decimal at `text`: digits with a point or none, a minus in front, an exponent behind. Returns where it
/// ends, and its value as ReadCell has it: the float nearest to the double nearest to the decimal. Null where there is
/// no such number, or one that takes a slower way: of more than 18 digits, very large or small, or so close to the
/// middle of two floats that its double must be known exactly.
const char* ReadPlainNumber(const char* text, const char* end, float& number);

}  // namespace lockstep::data
