// A recipe for a table.
#pragma once

#include <cstddef>
#include <span>

#include "launch/draft/draft.h"

namespace lockstep::launch {

/// `text` is the CSV file at options.path. Throws Error(kUsage) where a column that is asked for is not there, or can't
/// be what it is to be; Error(kData) where the file is no table.
Draft DraftTable(std::span<const std::byte> text, const DraftOptions& options);

/// The part of a recipe behind its data: a model of so many rows, and how it is trained.
std::string ModelOfRows(uint64_t rows);

}  // namespace lockstep::launch
