// Sums over the rows of a matrix, by column: bias gradients.
#pragma once

#include <cstdint>

namespace lockstep::onednn {

/// sums[k] = the sum over rows of x[rows, columns]. Blocks of rows are summed in float, their sums in double.
/// `totals` is scratch for `columns` doubles.
void ColumnSums(const float* x, int64_t rows, int64_t columns, double* totals, float* sums);

}  // namespace lockstep::onednn
