#include "launch/drawing/model_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "trainer/graph/op_table.h"

namespace lockstep::launch {

std::vector<ModelRow> RowsOf(const graph::Graph& forward) {
  std::vector<ModelRow> rows;
  std::map<graph::ValueId, size_t> maker;
  std::set<graph::ValueId> counted;
  for (size_t id = 0; id < forward.values.size(); ++id) {
    const graph::Value& value = forward.values[id];
    if (value.role != graph::Role::kInput) continue;
    maker[static_cast<graph::ValueId>(id)] = rows.size();
    rows.push_back({.name = value.name, .kind = "input", .result = value.shape.ToString()});
  }
  for (const graph::Op& op : forward.ops) {
    const size_t index = rows.size();
    ModelRow row{.name = op.name, .kind = graph::Name(op.kind)};
    row.result = forward.value(op.outputs[0]).shape.ToString();
    for (const graph::ValueId id : op.inputs) {
      if (id == graph::kNoValue) continue;
      const graph::Value& value = forward.value(id);
      if (value.role == graph::Role::kParameter && counted.insert(id).second) row.parameters += value.shape.size();
      const auto made = maker.find(id);
      if (made == maker.end() || std::ranges::find(row.reads, made->second) != row.reads.end()) continue;
      row.reads.push_back(made->second);
      rows[made->second].readers.push_back(index);
    }
    for (const graph::ValueId id : op.outputs)
      if (id != graph::kNoValue) maker[id] = index;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string ModelText(const std::vector<ModelRow>& rows) {
  size_t name = 4, kind = 4, result = 6;
  for (const ModelRow& row : rows) {
    name = std::max(name, row.name.size());
    kind = std::max(kind, row.kind.size());
    result = std::max(result, row.result.size());
  }
  std::string text = fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {}\n", "NAME", name, "KIND", kind, "RESULT", result,
                                 "PARAMETERS", "READS");
  for (size_t i = 0; i < rows.size(); ++i) {
    const ModelRow& row = rows[i];
    std::string reads;
    if (row.reads.size() != 1 || row.reads[0] + 1 != i)
      for (const size_t from : row.reads) reads += (reads.empty() ? "" : ", ") + rows[from].name;
    std::string line = fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {}", row.name, name, row.kind, kind, row.result,
                                   result, row.parameters > 0 ? fmt::format("{}", row.parameters) : "", reads);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace lockstep::launch
