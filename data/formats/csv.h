// Text with one sample a line: numbers between separators. All columns but the label's or the targets' are features.
//
// Numbers are read without a locale (1.5, -2e3, "7" in quotes). Quotes hold separators, and two of them are one (RFC
// 4180). Blanks around a cell, blank lines, lines that begin with #, a separator at the end of all rows, a byte order
// mark and carriage returns don't count; where there are only carriage returns, they end lines.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "data/memory_dataset.h"
#include "data/source_file.h"

namespace lockstep::data {

/// What the caller knows, and wants to know.
struct CsvOptions {
  int classes = 0;  ///< labels are below it; 0: the largest + 1
  /// Where given, it is told of each row that can't be read, which is left out.
  std::function<void(const Error&)> on_broken = nullptr;
};

/// "features" f32 [n], or "image" f32 [height, width, channels] where `config` says so; and "label" i32 [] or "target"
/// f32 [k]. Throws Error(kData) with the line (and column) of what can't be read, Error(kUsage) where `config`
/// contradicts itself or the number of columns. `origin.field` is that of the Csv message ("data.train.csv").
Records ReadCsv(std::span<const std::byte> text, const Csv& config, const Origin& origin,
                const CsvOptions& options = {});

}  // namespace lockstep::data
