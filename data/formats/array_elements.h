// Elements of NumPy's arrays as numbers, and how messages speak of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "data/formats/npy.h"
#include "data/origin.h"

namespace lockstep::data {

/// An array, and where it came from.
struct NamedArray {
  NpyArray array;
  Origin origin;
};

/// Integers, floats and booleans; words are none.
bool IsNumber(const NpyHeader& header);
/// Integers and booleans.
bool IsInteger(const NpyHeader& header);

/// The integer or boolean at `from`; those of u8 that i64 does not hold are negative.
int64_t LoadInteger(const std::byte* from, const NpyHeader& header);
/// The number at `from`, rounded to f32.
float LoadNumber(const std::byte* from, const NpyHeader& header);

/// "(3, 28, 28)".
std::string ShapeText(const NpyHeader& header);
/// The number as Python prints it.
std::string NumberText(const std::byte* from, const NpyHeader& header);
/// "row 7, column 3 (from 0)", "row 7, at [5, 2, 0] (from 0)": of element `element` of that row.
std::string PlaceOf(const NpyHeader& header, size_t sample, size_t element);
/// How many elements a row has.
size_t RowElements(const NpyHeader& header);

}  // namespace lockstep::data
