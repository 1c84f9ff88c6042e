// A large CSV text, read by several threads, each of them block by block: what is parsed lies in the cache then, and a
// file is never in memory as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "data/table/table_reader.h"

namespace lockstep::data {

/// Texts of so many bytes are worth threads.
constexpr uint64_t kWorthParts = uint64_t{4} << 20;

/// The bytes [begin, begin + bytes) of a text; `buffer` is the caller's, for readers that need one.
using ReadText =
    std::function<std::span<const std::byte>(uint64_t begin, size_t bytes, std::vector<std::byte>& buffer)>;

/// The rows of a text of `size` bytes, as they would be read in order. Nothing where a cell is quoted, a row can't be
/// read or lines don't end with \n: then the text is to be read in order, so that its errors are told in order.
std::optional<RawTable> ReadInParts(uint64_t size, const ReadText& read, const Csv& config, const Origin& origin,
                                    const ReadTableOptions& options);

}  // namespace lockstep::data
