// A table with a row per op kind: the op table, the reference and each backend have one, all put together alike from
// the rows of families, which stand beside the families' code. A Row has a `kind`.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string_view>

#include "base/error.h"
#include "trainer/graph/ops.h"

namespace lockstep::graph {

const char* Name(OpKind kind);  // op_table.h

template <typename Row>
class RowsByKind {
 public:
  /// nullptr where the table has none. REQUIRES: kind < kCount.
  const Row* Find(OpKind kind) const {
    CHECK(kind < OpKind::kCount);
    return rows_[static_cast<size_t>(kind)];
  }

  /// The row lives as long as this. REQUIRES: there is none of its kind yet.
  void Add(std::string_view table, const Row& row) {
    const Row*& slot = rows_[static_cast<size_t>(row.kind)];
    CHECK(slot == nullptr, "{} has two rows for {}", table, NameOf(row));
    slot = &row;
  }

 private:
  /// The op table's rows bring their names; the others' are looked up there.
  static const char* NameOf(const Row& row) {
    if constexpr (requires { row.name; }) {
      return row.name;
    } else {
      return Name(row.kind);
    }
  }

  std::array<const Row*, static_cast<size_t>(OpKind::kCount)> rows_{};
};

/// `table` names it where two rows have one kind, which is a bug.
template <typename Row>
RowsByKind<Row> CollectRows(std::string_view table, std::initializer_list<std::span<const Row>> families) {
  RowsByKind<Row> rows;
  for (const std::span<const Row> family : families) {
    for (const Row& row : family) rows.Add(table, row);
  }
  return rows;
}

}  // namespace lockstep::graph
