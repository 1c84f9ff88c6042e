#include <algorithm>
#include <utility>

#include "base/error.h"
#include "trainer/graph/op_table.h"
#include "trainer/passes/passes.h"

namespace lockstep::passes {

graph::Graph TakeBytes(const graph::Graph& forward, const ByteInput& input) {
  const graph::ValueId image = forward.Find(input.image);
  if (image == graph::kNoValue) return forward;
  const graph::Value& floats = forward.value(image);
  CHECK(floats.role == graph::Role::kInput && floats.dtype == DType::kF32 && floats.shape.rank() == 4,
        "{} {} can't come as bytes", floats.name, floats.shape.ToString());
  graph::Graph taking = forward;
  taking.values[static_cast<size_t>(image)].dtype = DType::kU8;
  const auto inside = static_cast<graph::ValueId>(taking.values.size());
  taking.values.push_back(
      {.name = input.inside, .shape = {floats.shape.dim(0), 4}, .dtype = DType::kI32, .role = graph::Role::kInput});
  taking.ops.clear();
  const graph::ValueId pixels =
      graph::AppendOp(taking, graph::OpKind::kPixels, {image, inside}, input.attributes, floats.name + "/pixels")[0];
  for (graph::Op op : forward.ops) {
    std::ranges::replace(op.inputs, image, pixels);
    taking.ops.push_back(std::move(op));
  }
  return taking;
}

}  // namespace lockstep::passes
