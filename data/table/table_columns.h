// What the rows that are trained on say of a table's columns: the words of categorical ones, what missing numbers
// become.
#pragma once

#include <cstdint>
#include <span>

#include "data/data.pb.h"
#include "data/origin.h"
#include "data/table/table.h"

namespace lockstep::data {

/// Means are sums in row order in double precision, divided by their count; medians of an even count are the mean of
/// the two in the middle. `trained` is 1 for each row that is trained on. Throws Error(kData) where a column has no
/// value at all, or too many words.
Table DescribeColumns(const RawTable& table, const Csv& config, std::span<const uint8_t> trained, const Origin& origin);

}  // namespace lockstep::data
