#include "trainer/models/data_shape.h"

#include <numeric>
#include <span>

#include "trainer/models/blocks.h"

namespace lockstep::models {

std::optional<DataField> DataShape::Find(std::string_view name) const {
  for (const DataField& field : fields)
    if (field.name == name) return field;
  const bool sequence = input == "tokens" || pairs();
  if (name == input)
    return DataField{input, sample, sequence ? DType::kI32 : DType::kF32, input == "tokens" ? classes : 0};
  if (name == "label" && classes > 0 && !boxes)
    return DataField{"label", sequence ? sample : Shape{}, DType::kI32, classes, /*answer=*/true};
  if (name == "target" && targets > 0) return DataField{"target", {targets}, DType::kF32, 0, /*answer=*/true};
  if (name != "categories" || categories.empty()) return std::nullopt;
  const auto columns = static_cast<int64_t>(categories.size());
  return DataField{"categories", {columns}, DType::kI32, std::accumulate(categories.begin(), categories.end(), 0)};
}

DataShape DataShapeOfGraph(const GraphModel& graph) {
  DataShape data;
  for (const GraphInput& input : graph.input()) {
    const std::string& name = input.field().empty() ? input.name() : input.field();
    Shape shape(std::span<const int64_t>(input.shape().data(), static_cast<size_t>(input.shape_size())));
    const bool first = data.input.empty();
    // The data's images have their channels last; nodes may ask for that order too, where it can't be mistaken.
    const auto channels = [&](int dim) { return shape[dim] == 1 || shape[dim] == 3; };
    const bool first_of_three = graph.channels_first() && shape.rank() == 3 && (channels(0) || !channels(2));
    if (name == "image" && first_of_three) shape = {shape[1], shape[2], shape[0]};
    const DType dtype = input.integers() ? DType::kI32 : DType::kF32;
    if (first) {
      data.input = name;
      data.sample = shape;
    }
    if (!first || dtype != DType::kF32) data.fields.push_back({.name = name, .shape = shape, .dtype = dtype});
  }
  if (data.input.empty())
    Fail("model.graph.input", "is required of a model without data", "say its name and shape, or give data.train");
  return data;
}

}  // namespace lockstep::models
