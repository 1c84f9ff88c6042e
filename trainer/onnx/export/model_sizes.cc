#include "trainer/onnx/export/model_sizes.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::onnx {

using graph::ValueId;

SizeTable::SizeTable(const ModelSizes& model) : graphs_{&model.graph} {
  for (const Variation& variation : model.variations) {
    CHECK(variation.graph.ops.size() == model.graph.ops.size());
    CHECK(variation.graph.values.size() == model.graph.values.size());
    graphs_.push_back(&variation.graph);
  }
  for (size_t i = 0; i < model.variations.size(); ++i) {
    const auto varies = [&](ValueId input, int axis) {
      const Size size = Of(input, axis);
      Size expected(graphs_.size(), size[0]);
      expected[i + 1] = size[i + 1];
      return size == expected && size[i + 1] != size[0];
    };
    const std::string& name = model.variations[i].dimension;
    const auto known = [&] {
      return std::ranges::any_of(sources_, [&](const Source& source) { return source.dimension == name; });
    };
    for (size_t value = 0; value < model.graph.values.size() && !known(); ++value) {
      const auto input = static_cast<ValueId>(value);
      if (model.graph.value(input).role != graph::Role::kInput) continue;
      for (int axis = 0; axis < model.graph.value(input).shape.rank() && !known(); ++axis)
        if (varies(input, axis)) sources_.push_back({name, input, axis, Of(input, axis)});
    }
    CHECK(known(), "no input has the dimension {}", name);
  }
}

Size SizeTable::Of(ValueId value, int dimension) const {
  Size size;
  for (const graph::Graph* graph : graphs_) size.push_back(graph->value(value).shape.dim(dimension));
  return size;
}

std::vector<Size> SizeTable::Of(ValueId value) const {
  std::vector<Size> sizes;
  for (int i = 0; i < graphs_[0]->value(value).shape.rank(); ++i) sizes.push_back(Of(value, i));
  return sizes;
}

std::string SizeTable::NameOf(const Size& size) const {
  for (const Source& source : sources_)
    if (source.size == size) return source.dimension;
  return "";
}

}  // namespace lockstep::onnx
