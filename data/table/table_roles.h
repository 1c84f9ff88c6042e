// What each column of a table is for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/data.pb.h"
#include "data/origin.h"

namespace lockstep::data {

/// Columns are numbers from 0; -1: there is none.
struct TableRoles {
  size_t columns = 0;
  std::vector<std::string> names;  ///< of all columns: headings, or their numbers
  bool headings = false;           ///< the names are headings
  std::vector<int> features;       ///< in the order of the features
  std::vector<bool> categorical;   ///< of each of `features`: a column of words
  std::vector<bool> embedded;      ///< of each of `features`: a column of words that is embedded
  std::vector<int> targets;
  int label = -1, id = -1, group = -1;

  /// "column 3 (from 0)", "column \"age\" (3 from 0)".
  std::string NameOf(int column) const;
};

/// What the recipe beside the Csv message says of the columns.
struct RoleOptions {
  const Table* table = nullptr;  ///< of the training rows, where they have been looked at: says what the features are
  std::string group;             ///< Split::group
  bool unlabeled = false;        ///< rows to be answered: neither label nor targets are looked for
};

/// `heading` is empty where there is none. Throws Error(kUsage) where `config` names no column, or one twice;
/// Error(kData) where no features are left.
TableRoles MakeRoles(const Csv& config, const std::vector<std::string_view>& heading, size_t columns,
                     const RoleOptions& options, const Origin& origin);

}  // namespace lockstep::data
