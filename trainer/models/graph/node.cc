#include "trainer/models/graph/node.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "trainer/graph/strided.h"

namespace lockstep::models {

using graph::OpKind;
using graph::ValueId;

NodeBuild::NodeBuild(const GraphContext& context, const Node& node, std::string name, std::string parameters,
                     std::vector<ValueId> inputs, std::vector<std::string> input_names)
    : context_(context),
      node_(node),
      name_(std::move(name)),
      parameters_(std::move(parameters)),
      inputs_(std::move(inputs)),
      input_names_(std::move(input_names)) {}

void NodeBuild::Fail(const std::string& message, const std::string& hint) const {
  throw Error(ErrorKind::kUsage, fmt::format("model.graph: node \"{}\": {}", name_, message), "", hint);
}

void NodeBuild::RequireInputs(size_t least, size_t most) const {
  if (inputs_.size() >= least && inputs_.size() <= most) return;
  const std::string wanted = least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
  Fail(fmt::format("has {} inputs, but takes {}", inputs_.size(), wanted));
}

void NodeBuild::FailInput(size_t index, const std::string& wanted, const std::string& hint) const {
  Fail(fmt::format("its input \"{}\" is {} {}, but {} wanted", input_names_[index], Name(dtype(inputs_[index])),
                   input_shape(index).ToString(), wanted),
       hint);
}

void NodeBuild::RequireRank(size_t index, int least, int most, const std::string& wanted) const {
  const int rank = input_shape(index).rank();
  if (rank < least || rank > most) FailInput(index, wanted);
}

void NodeBuild::RequireFloats(size_t index) const {
  if (dtype(inputs_[index]) != DType::kF32) FailInput(index, "floats are", "put a node with cast {} before it");
}

void NodeBuild::RequireIntegers(size_t index) const {
  if (dtype(inputs_[index]) != DType::kI32)
    FailInput(index, "integers are", "put a node with cast { integers: true } before it");
}

int NodeBuild::Axis(int64_t axis, int rank) const {
  if (axis < -rank || axis >= rank) Fail(fmt::format("axis {} of {} dimensions", axis, rank));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

int64_t NodeBuild::InRange(const char* field, uint64_t value, uint64_t least, uint64_t most) const {
  if (value < least || value > most) Fail(fmt::format("{}: {} is not in [{}, {}]", field, value, least, most));
  return static_cast<int64_t>(value);
}

ValueId NodeBuild::Parameter(const std::string& suffix, const Shape& shape, graph::Initializer start,
                             bool decay) const {
  const std::string name = parameters_ + "." + suffix;
  const ValueId id = builder().SharedParameter(name, shape, start, decay);
  if (builder().shape(id) != shape)
    Fail(fmt::format("its {} would be {}, but another node made it {}", name, shape.ToString(),
                     builder().shape(id).ToString()),
         "nodes share parameters of one shape alone; give this one a name or parameters of its own");
  return id;
}

ValueId NodeBuild::ParameterOrInput(size_t index, const std::string& suffix, const Shape& shape,
                                    graph::Initializer start, bool decay) const {
  if (inputs_.size() <= index) return Parameter(suffix, shape, start, decay);
  if (input_shape(index) != shape) FailInput(index, fmt::format("{} is", shape.ToString()));
  return inputs_[index];
}

std::vector<ValueId> NodeBuild::Emit(OpKind kind, std::vector<ValueId> inputs, graph::Attributes attributes,
                                     const std::string& suffix) const {
  try {
    return builder().Emit(kind, std::move(inputs), std::move(attributes), name_ + suffix);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage || error.message().starts_with("model")) throw;
    Fail(error.message(), error.hint());
  }
}

ValueId NodeBuild::Reshape(ValueId x, const Shape& to, const std::string& suffix) const {
  if (shape(x) == to) return x;
  return Emit(OpKind::kReshape, {x}, graph::ReshapeAttributes{to}, suffix)[0];
}

ValueId NodeBuild::Transpose(ValueId x, const std::vector<int>& order, const std::string& suffix) const {
  return Emit(OpKind::kStrided, {x}, graph::Transposed(shape(x), order), suffix)[0];
}

ValueId NodeBuild::ToImage(size_t index) const {
  const Shape& x = input_shape(index);
  RequireFloats(index);
  if (context_.channels_first) {
    RequireRank(index, 3, 4, "images [batch, channels, height, width] or sequences [batch, channels, time] are");
    const Shape image = x.rank() == 4 ? x : Shape{x[0], x[1], 1, x[2]};
    return Transpose(Reshape(inputs_[index], image, "/as_image"), {0, 2, 3, 1}, "/channels_last");
  }
  RequireRank(index, 3, 4, "images [batch, height, width, channels] or sequences [batch, time, channels] are");
  return x.rank() == 4 ? inputs_[index] : Reshape(inputs_[index], {x[0], 1, x[1], x[2]}, "/as_image");
}

ValueId NodeBuild::FromImage(ValueId x, int rank) const {
  const ValueId y = context_.channels_first ? Transpose(x, {0, 3, 1, 2}, "/channels_first") : x;
  if (rank == 4) return y;
  const Shape image = shape(y);
  return Reshape(y, context_.channels_first ? Shape{image[0], image[1], image[3]} : Shape{image[0], image[2], image[3]},
                 "/as_sequence");
}

}  // namespace lockstep::models
