// From the cells of a table's label column to classes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/origin.h"
#include "data/table/table.h"

namespace lockstep::data {

struct TableLabels {
  std::vector<int32_t> values;     ///< by row; -1 where on_broken was told
  int classes = 0;                 ///< 0 where there is no label
  std::vector<std::string> names;  ///< of the classes; empty where they are numbers
};

struct LabelOptions {
  int classes = 0;                                        ///< of labels that are numbers; 0: the largest + 1
  std::vector<std::string> class_names = {};              ///< where they are known
  std::function<void(const Error&)> on_broken = nullptr;  ///< as ReadTableOptions
  // Of labels that stand in no file's lines.
  std::string named = {};  ///< what messages count in their place: "row"
  std::string hint = {};   ///< which field names them
};

/// Labels that are integers from 0 are classes as they stand there. All others are names of classes: words, sorted by
/// their bytes, or numbers such as -1 and 1, sorted by size. Throws Error(kData) for a label that is none of
/// `class_names`, words among numbers, and numbers that are no classes.
TableLabels SettleLabels(const RawTable& table, const LabelOptions& options, const Origin& origin);

}  // namespace lockstep::data
