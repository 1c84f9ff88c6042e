// From CSV text to a table.
#pragma once

#include <cstddef>
#include <span>

#include "data/table/table_reader.h"

namespace lockstep::data {

/// Reads the whole text. Throws Error(kData) with the line and column of what can't be read, Error(kUsage) where
/// `config` contradicts itself or the columns. `origin.field` is that of the Csv message ("data.train.csv").
RawTable ReadTable(std::span<const std::byte> text, const Csv& config, const Origin& origin,
                   const ReadTableOptions& options);

/// As ReadTable, of config.file. A large one that is not packed is read block by block.
RawTable ReadTableFile(const Csv& config, const Origin& origin, const ReadTableOptions& options);

}  // namespace lockstep::data
