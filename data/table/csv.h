// CSV files as samples: a row each, columns of numbers or words as features, and a class or targets to be learned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/memory_dataset.h"
#include "data/origin.h"

namespace lockstep::data {

/// What the caller knows, and wants to know.
struct CsvOptions {
  int classes = 0;                            ///< labels that are numbers are below it; 0: the largest + 1
  std::vector<std::string> class_names = {};  ///< of labels that are words; empty: those of the file, sorted
  const Table* table = nullptr;               ///< what the training rows said; null: these are the training rows
  std::string group = {};                     ///< Split::group
  bool unlabeled = false;                     ///< rows to be answered: labels and targets are not read
  /// Says of each row, by its label (-1: none) and group (empty: none are read), whether it is trained on. Null: all
  /// are.
  std::function<std::vector<uint8_t>(uint64_t rows, std::span<const int32_t> labels,
                                     std::span<const std::string> groups)>
      trained = nullptr;
  /// Where given, it is told of each row that can't be read, which is left out.
  std::function<void(const Error&)> on_broken = nullptr;
};

/// "features" f32 [n], or "image" f32 [height, width, channels] where `config` says so; "categories" i32 [columns]
/// where columns are embedded (the number of a word among those of all these columns, -1: none that was trained on);
/// and "label" i32 [] or "target" f32 [k]. Throws Error(kData) with the line (and column) of what can't be read,
/// Error(kUsage) where `config` contradicts itself or the columns. `origin.field` is that of the Csv message
/// ("data.train.csv").
Records ReadCsv(std::span<const std::byte> text, const Csv& config, const Origin& origin,
                const CsvOptions& options = {});
/// As ReadCsv, of config.file. A large one that is not packed is never in memory as a whole. Throws as LoadSourceFile
/// too.
Records ReadCsvFile(const Csv& config, const Origin& origin, const CsvOptions& options);

}  // namespace lockstep::data
