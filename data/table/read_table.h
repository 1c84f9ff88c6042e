// From CSV text to a table.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "base/error.h"
#include "data/table/csv_rows.h"
#include "data/table/table.h"

namespace lockstep::data {

struct ReadTableOptions {
  RoleOptions roles = {};
  /// Where given, it is told of each row that can't be read, which is left out. Otherwise the first one is thrown, with
  /// a count of all.
  std::function<void(const Error&)> on_broken = nullptr;
};

/// Reads the whole text. Throws Error(kData) with the line and column of what can't be read, Error(kUsage) where
/// `config` contradicts itself or the columns. `origin.field` is that of the Csv message ("data.train.csv").
RawTable ReadTable(std::span<const std::byte> text, const Csv& config, const Origin& origin,
                   const ReadTableOptions& options);

/// As ReadTable, of config.file. A large one that is not packed is read block by block.
RawTable ReadTableFile(const Csv& config, const Origin& origin, const ReadTableOptions& options);

/// The character between columns, as the recipe says.
char SeparatorOf(const Csv& config, const Origin& origin);

/// Whether the first of `rows` is a heading: it has words above most columns of numbers; or, where no column is of
/// numbers, words that don't come again below them.
bool HasHeading(std::span<const std::vector<std::string_view>> rows, char decimal);

}  // namespace lockstep::data
