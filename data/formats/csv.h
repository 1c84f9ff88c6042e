// Text with one sample a line: numbers between separators. All columns but the label's or the targets' are features.
//
// Numbers are read without a locale (1.5, -2e3, "7" in quotes). Blanks around a cell, blank lines, a byte order mark
// and carriage returns don't count.
#pragma once

#include <cstddef>
#include <span>

#include "data/memory_dataset.h"
#include "data/source_file.h"

namespace lockstep::data {

/// "features" f32 [n], or "image" f32 [height, width, channels] where `config` says so; and "label" i32 [] or "target"
/// f32 [k]. Throws Error(kData) with the line (and column) of what can't be read, Error(kUsage) where `config`
/// contradicts itself or the number of columns. `origin.field` is that of the Csv message ("data.train.csv").
Records ReadCsv(std::span<const std::byte> text, const Csv& config, const Origin& origin);

}  // namespace lockstep::data
