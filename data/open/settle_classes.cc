#include "data/open/settle_classes.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace lockstep::data {
namespace {

/// Null where samples have no class.
const Column* LabelsOf(const Records& records) {
  const auto found = std::find_if(records.columns.begin(), records.columns.end(),
                                  [](const Column& column) { return column.field.name == "label"; });
  return found == records.columns.end() ? nullptr : &*found;
}

std::span<const int32_t> ValuesOf(const Column& labels) {
  const std::span<const std::byte> bytes = labels.values();
  return {reinterpret_cast<const int32_t*>(bytes.data()), bytes.size() / sizeof(int32_t)};
}

void RequireClasses(std::span<const int32_t> labels, const ClassOptions& options, const std::string& path) {
  for (size_t id = 0; id < labels.size(); ++id) {
    if (labels[id] < options.classes) continue;
    const Error error(ErrorKind::kData,
                      fmt::format("label out of range: sample {} (from 0) has label {}, but classes are 0 to {}", id,
                                  labels[id], options.classes - 1),
                      path, "correct the label, or data.classes");
    if (!options.on_broken) throw error;
    options.on_broken(error);
  }
}

/// "10-199, 203": the first ones of the indices of what is 0.
std::string EmptyOnes(const std::vector<uint64_t>& counts) {
  constexpr int kMostNamed = 5;
  std::string text;
  int named = 0;
  for (size_t begin = 0; begin < counts.size(); ++begin) {
    if (counts[begin] > 0) continue;
    size_t end = begin;
    while (end + 1 < counts.size() && counts[end + 1] == 0) ++end;
    if (++named > kMostNamed) return text + ", ...";
    text += fmt::format("{}{}", text.empty() ? "" : ", ", begin);
    if (end > begin) text += fmt::format("-{}", end);
    begin = end;
  }
  return text;
}

void WarnOfEmptyClasses(std::span<const int32_t> labels, int classes, const std::string& path) {
  std::vector<uint64_t> counts(static_cast<size_t>(classes));
  for (const int32_t label : labels) ++counts[static_cast<size_t>(label)];
  const auto empty = std::count(counts.begin(), counts.end(), 0u);
  if (empty == 0) return;
  uint64_t least = labels.size(), most = 0;
  for (const uint64_t count : counts) {
    if (count == 0) continue;
    least = std::min(least, count);
    most = std::max(most, count);
  }
  LogWarning(
      "{}: labels make {} classes, of which {} have no sample: {} (the others have {} to {}; label {} has {}): correct "
      "the labels, or say how many classes there are: data.classes",
      path, classes, empty, EmptyOnes(counts), least, most, classes - 1, counts.back());
}

}  // namespace

void SettleClasses(const ClassOptions& options, const std::string& path, Records& records) {
  const Column* const labels = LabelsOf(records);
  if (labels == nullptr || !records.class_names.empty()) return;
  if (options.classes > 0) {
    RequireClasses(ValuesOf(*labels), options, path);
    records.classes = options.classes;
  } else if (options.training) {
    WarnOfEmptyClasses(ValuesOf(*labels), records.classes, path);
  }
}

}  // namespace lockstep::data
