// Lists of pictures: a text file with a path and a class a line.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/origin.h"
#include "data/pictures/picture_list.h"

namespace lockstep::data {

/// Pictures in the order of their lines; names are as they stand there. Columns are separated by what the first line
/// has: a tab, a semicolon or a comma; what is in quotes is whole, and two quotes in it are one (RFC 4180). A first
/// line whose path has no picture's name is a header. Blank lines, a byte order mark and carriage returns don't count.
/// Throws Error(kData) with the line, or tells of lines that are left out, where columns are missing or too many, or a
/// name is no picture's.
PictureList ReadPictureList(std::span<const std::byte> text, const Origin& origin, const BrokenFunction& on_broken);

}  // namespace lockstep::data
