// Nodes that move values, or bring them, and compute nothing.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "trainer/graph/strided.h"
#include "trainer/models/blocks.h"
#include "trainer/models/graph/node.h"

namespace lockstep::models {

using graph::OpKind;
using graph::ValueId;

namespace {

std::vector<ValueId> BuildTranspose(const NodeBuild& node, const Transpose& config) {
  node.RequireInputs(1, 1);
  const int rank = node.input_shape(0).rank();
  std::vector<int> order;
  for (const int32_t axis : config.order()) order.push_back(node.Axis(axis, rank));
  std::vector<int> sorted = order, all(static_cast<size_t>(rank));
  std::ranges::sort(sorted);
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all) node.FailInput(0, fmt::format("one with the {} dimensions of order is", order.size()));
  return {node.Transpose(node.input(0), order, "")};
}

std::vector<ValueId> BuildReshape(const NodeBuild& node, const Reshape& config) {
  node.RequireInputs(1, 1);
  const Shape& x = node.input_shape(0);
  if (config.shape_size() > Shape::kMaxRank)
    node.Fail(fmt::format("shape has {} dimensions; there are at most {}", config.shape_size(), +Shape::kMaxRank));
  std::vector<int64_t> dims(config.shape().begin(), config.shape().end());
  int64_t known = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && i < static_cast<size_t>(x.rank())) dims[i] = x.dim(static_cast<int>(i));
    if (dims[i] > 0) known *= dims[i];
  }
  const auto open = std::ranges::find(dims, -1);
  if (open != dims.end() && known > 0 && x.size() % known == 0) *open = x.size() / known;
  const bool positive = std::ranges::all_of(dims, [](int64_t dim) { return dim > 0; });
  if (!positive || Shape(dims).size() != x.size())
    node.FailInput(0,
                   fmt::format("one that becomes {} is",
                               Shape(std::vector<int64_t>(config.shape().begin(), config.shape().end())).ToString()));
  return {node.Reshape(node.input(0), Shape(dims), "")};
}

std::vector<ValueId> BuildExpand(const NodeBuild& node, const Expand& config) {
  node.RequireInputs(1, 1);
  const Shape& x = node.input_shape(0);
  const int rank = config.shape_size(), missing = rank - x.rank();
  if (rank > Shape::kMaxRank || missing < 0)
    node.FailInput(0, fmt::format("one of at most {} dimensions is", std::min(rank, +Shape::kMaxRank)));
  std::vector<int64_t> dims;
  for (int i = 0; i < rank; ++i) {
    const int64_t own = i < missing ? 1 : x.dim(i - missing);
    const int64_t asked = config.shape(i);
    dims.push_back(asked != -1 ? std::max(asked, own) : i < missing ? node.builder().batch() : own);
    if (own != 1 && own != dims.back()) node.FailInput(0, fmt::format("{} in dimension {} is", asked, i - missing));
  }
  return {node.Emit(OpKind::kStrided, {node.input(0)}, graph::Expanded(x, Shape(dims)))[0]};
}

std::vector<ValueId> BuildSlice(const NodeBuild& node, const Slice& config) {
  node.RequireInputs(1, 1);
  const Shape& x = node.input_shape(0);
  if (!config.has_axis()) node.Fail("axis is required");
  const int axis = node.Axis(config.axis(), x.rank());
  const int64_t size = x.dim(axis), step = config.has_step() ? config.step() : 1;
  if (step == 0) node.Fail("step must not be 0");
  // As Python cuts.
  const int64_t least = step > 0 ? 0 : -1, most = step > 0 ? size : size - 1;
  const auto place = [&](int64_t at) { return std::clamp(at < 0 ? at + size : at, least, most); };
  const int64_t begin = place(config.begin());
  const int64_t end = config.has_end() ? place(config.end()) : (step > 0 ? size : -1);
  const int64_t count = step > 0 ? (end - begin + step - 1) / step : (begin - end - step - 1) / -step;
  if (count < 1)
    node.FailInput(0, fmt::format("one with something from {} to {} in dimension {} is", begin, end, axis));
  return {node.Emit(OpKind::kStrided, {node.input(0)}, graph::Sliced(x, axis, begin, step, count))[0]};
}

std::vector<ValueId> BuildConcat(const NodeBuild& node, const Concat& config) {
  node.RequireInputs(1, 4096);
  const Shape first = node.input_shape(0);
  const int rank = first.rank();
  const int axis = node.Axis(config.has_axis() ? config.axis() : node.context().channels_first ? 1 : -1, rank);
  std::vector<ValueId> parts;
  for (size_t i = 0; i < node.inputs(); ++i) {
    const Shape& x = node.input_shape(i);
    for (int d = 0; d < rank; ++d)
      if (x.rank() != rank || (d != axis && x.dim(d) != first.dim(d)))
        node.FailInput(i, fmt::format("one like {} in all but dimension {} is", first.ToString(), axis));
    parts.push_back(node.input(i));
  }
  if (parts.size() == 1) return parts;
  return {node.Emit(OpKind::kConcat, parts, graph::ConcatAttributes{axis})[0]};
}

/// Places along an axis of `size`, with `before` and `after` more, as the kind says where they come from.
std::vector<int32_t> PaddedPlaces(const NodeBuild& node, Pad::Kind kind, int64_t size, int64_t before, int64_t after) {
  const int64_t most = kind == Pad::REFLECT ? size - 1 : kind == Pad::WRAP ? size : INT32_MAX;
  if (before > most || after > most) node.FailInput(0, "one that is larger than its padding is");
  std::vector<int32_t> places;
  for (int64_t i = -before; i < size + after; ++i) {
    int64_t from = i;
    if (kind == Pad::EDGE) from = std::clamp<int64_t>(i, 0, size - 1);
    if (kind == Pad::WRAP) from = (i + size) % size;
    if (kind == Pad::REFLECT) from = i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i;
    places.push_back(static_cast<int32_t>(from));
  }
  return places;
}

ValueId GatherPlaces(const NodeBuild& node, ValueId x, int axis, std::vector<int32_t> places,
                     const std::string& suffix) {
  const graph::GatherAttributes attributes{.axis = axis,
                                           .index = std::make_shared<const std::vector<int32_t>>(std::move(places))};
  return node.Emit(OpKind::kGather, {x}, attributes, suffix)[0];
}

std::vector<ValueId> BuildPad(const NodeBuild& node, const Pad& config) {
  node.RequireInputs(1, 1);
  const Shape x = node.input_shape(0);
  if (config.before_size() != x.rank() || config.after_size() != x.rank())
    node.Fail(fmt::format("before and after have {} and {} numbers, but its input has {} dimensions",
                          config.before_size(), config.after_size(), x.rank()));
  if (config.kind() == Pad::CONSTANT) {
    graph::PadAttributes attributes{.value = static_cast<float>(config.value())};
    std::ranges::copy(config.before(), attributes.before.begin());
    std::ranges::copy(config.after(), attributes.after.begin());
    return {node.Emit(OpKind::kPad, {node.input(0)}, attributes)[0]};
  }
  ValueId y = node.input(0);
  for (int i = 0; i < x.rank(); ++i) {
    if (config.before(i) == 0 && config.after(i) == 0) continue;
    y = GatherPlaces(node, y, i, PaddedPlaces(node, config.kind(), x.dim(i), config.before(i), config.after(i)),
                     fmt::format("/dimension{}", i));
  }
  return {y};
}

std::vector<ValueId> BuildGather(const NodeBuild& node, const Gather& config) {
  node.RequireInputs(1, 1);
  const Shape& x = node.input_shape(0);
  const int axis = node.Axis(config.axis(), x.rank());
  for (const int32_t place : config.index())
    if (place < 0 || place >= x.dim(axis)) node.FailInput(0, fmt::format("one with a place {} is", place));
  if (config.index().empty()) node.Fail("index is required");
  return {GatherPlaces(node, node.input(0), axis, {config.index().begin(), config.index().end()}, "")};
}

std::vector<ValueId> BuildResize(const NodeBuild& node, const Resize& config) {
  node.RequireInputs(1, 1);
  const int rank = node.input_shape(0).rank();
  const ValueId x = node.ToImage(0);
  const Shape image = node.shape(x);
  const auto size = [&](uint32_t pixels, int64_t of) -> int64_t {
    if (pixels > 0) return pixels;
    return static_cast<int64_t>(std::floor(static_cast<double>(of) * config.scale()));
  };
  graph::ResizeAttributes attributes{.height = rank == 3 ? 1 : size(config.height(), image[1]),
                                     .width = size(config.width(), image[2]),
                                     .result = {},
                                     .align_corners = config.align_corners()};
  if (attributes.height < 1 || attributes.width < 1) node.Fail("height and width, or scale, are required");
  const OpKind kind = config.kind() == Resize::LINEAR ? OpKind::kResizeLinear : OpKind::kResizeNearest;
  return {node.FromImage(node.Emit(kind, {x}, attributes)[0], rank)};
}

/// [batch, channels, height, width] in the order of dimensions that the graph has.
Shape ImageShape(const NodeBuild& node, int64_t batch, int64_t channels, int64_t height, int64_t width) {
  return node.context().channels_first ? Shape{batch, channels, height, width} : Shape{batch, height, width, channels};
}

std::vector<ValueId> BuildDepthToSpace(const NodeBuild& node, const DepthToSpace& config) {
  node.RequireInputs(1, 1);
  node.RequireRank(0, 4, 4, "an image is");
  const bool first = node.context().channels_first;
  const Shape& x = node.input_shape(0);
  const int64_t b = node.InRange("block", config.block(), 1, kMaxWindow);
  const int64_t n = x[0], all = first ? x[1] : x[3], h = first ? x[2] : x[1], w = first ? x[3] : x[2];
  if (all % (b * b) != 0) node.FailInput(0, fmt::format("one whose channels are a multiple of {} is", b * b));
  const int64_t c = all / (b * b);
  const bool depth = config.depth_first();
  const Shape parts = first ? (depth ? Shape{n, b, b, c, h, w} : Shape{n, c, b, b, h, w})
                            : (depth ? Shape{n, h, w, b, b, c} : Shape{n, h, w, c, b, b});
  const std::vector<int> order = first ? (depth ? std::vector{0, 3, 4, 1, 5, 2} : std::vector{0, 1, 4, 2, 5, 3})
                                       : (depth ? std::vector{0, 1, 3, 2, 4, 5} : std::vector{0, 1, 4, 2, 5, 3});
  const ValueId moved = node.Transpose(node.Reshape(node.input(0), parts, "/parts"), order);
  return {node.Reshape(moved, ImageShape(node, n, c, h * b, w * b), "")};
}

std::vector<ValueId> BuildSpaceToDepth(const NodeBuild& node, const SpaceToDepth& config) {
  node.RequireInputs(1, 1);
  node.RequireRank(0, 4, 4, "an image is");
  const bool first = node.context().channels_first;
  const Shape& x = node.input_shape(0);
  const int64_t b = node.InRange("block", config.block(), 1, kMaxWindow);
  const int64_t n = x[0], c = first ? x[1] : x[3], h = (first ? x[2] : x[1]) / b, w = (first ? x[3] : x[2]) / b;
  if ((first ? x[2] : x[1]) % b != 0 || (first ? x[3] : x[2]) % b != 0)
    node.FailInput(0, fmt::format("one whose height and width are multiples of {} is", b));
  const bool depth = config.depth_first();
  const Shape parts = first ? Shape{n, c, h, b, w, b} : Shape{n, h, b, w, b, c};
  const std::vector<int> order = first ? (depth ? std::vector{0, 3, 5, 1, 2, 4} : std::vector{0, 1, 3, 5, 2, 4})
                                       : (depth ? std::vector{0, 1, 3, 2, 4, 5} : std::vector{0, 1, 3, 5, 2, 4});
  const ValueId moved = node.Transpose(node.Reshape(node.input(0), parts, "/parts"), order);
  return {node.Reshape(moved, ImageShape(node, n, c * b * b, h, w), "")};
}

Shape ShapeOf(const NodeBuild& node, const google::protobuf::RepeatedField<int64_t>& dims) {
  if (dims.size() > Shape::kMaxRank) node.Fail(fmt::format("shape has more than {} dimensions", +Shape::kMaxRank));
  for (const int64_t dim : dims)
    if (dim < 1) node.Fail(fmt::format("shape has a dimension of {}", dim));
  return Shape(std::span<const int64_t>(dims.data(), static_cast<size_t>(dims.size())));
}

/// They have no suffix: their name is the whole name.
std::vector<ValueId> BuildParameter(const NodeBuild& node, const ParameterNode& config) {
  node.RequireInputs(0, 0);
  const Shape shape = ShapeOf(node, config.shape());
  const graph::Initializer start{.value = static_cast<float>(config.value()),
                                 .deviation = static_cast<float>(config.deviation()),
                                 .uniform = static_cast<float>(config.uniform())};
  const bool decay = config.has_decay() ? config.decay() : shape.rank() >= 2;
  return {node.builder().SharedParameter(node.parameters(), shape, start, decay)};
}

std::vector<ValueId> BuildBuffer(const NodeBuild& node, const BufferNode& config) {
  node.RequireInputs(0, 0);
  const Shape shape = ShapeOf(node, config.shape());
  if (config.values_size() > 1 && config.values_size() != shape.size())
    node.Fail(
        fmt::format("values has {} numbers, but shape {} has {}", config.values_size(), shape.ToString(), shape.size()),
        "give one for all, or each");
  if (config.values_size() > 1)
    return {node.builder().Buffer(node.parameters(), shape, {config.values().begin(), config.values().end()})};
  return {node.builder().Statistic(node.parameters(), shape, config.values_size() == 1 ? config.values(0) : 0)};
}

}  // namespace

std::vector<ValueId> BuildMovementNode(const NodeBuild& node) {
  const Node& config = node.node();
  switch (config.op_case()) {
    case Node::kTranspose:
      return BuildTranspose(node, config.transpose());
    case Node::kReshape:
      return BuildReshape(node, config.reshape());
    case Node::kExpand:
      return BuildExpand(node, config.expand());
    case Node::kSlice:
      return BuildSlice(node, config.slice());
    case Node::kConcat:
      return BuildConcat(node, config.concat());
    case Node::kPad:
      return BuildPad(node, config.pad());
    case Node::kGather:
      return BuildGather(node, config.gather());
    case Node::kResize:
      return BuildResize(node, config.resize());
    case Node::kDepthToSpace:
      return BuildDepthToSpace(node, config.depth_to_space());
    case Node::kSpaceToDepth:
      return BuildSpaceToDepth(node, config.space_to_depth());
    case Node::kParameter:
      return BuildParameter(node, config.parameter());
    case Node::kBuffer:
      return BuildBuffer(node, config.buffer());
    default:
      return {};
  }
}

}  // namespace lockstep::models
