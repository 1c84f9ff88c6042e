// Ops that move elements.
#include <algorithm>
#include <limits>
#include <numeric>

#include "trainer/onnx/export/emitters.h"

namespace lockstep::onnx {
namespace {

using graph::OpKind;

constexpr int64_t kToTheEnd = std::numeric_limits<int64_t>::max();

/// Whether an image has the same bytes in either order.
bool SameInBothOrders(const Shape& shape) { return shape.rank() == 4 && (shape[3] == 1 || shape[1] * shape[2] == 1); }

void EmitReshape(Emission& e) {
  const bool first = e.HasInOrder(0, Order::kChannelsFirst) && !e.HasInOrder(0, Order::kOurs);
  const Order order = first && SameInBothOrders(e.InputShape(0)) ? Order::kChannelsFirst : Order::kOurs;
  std::vector<Size> from = e.sizes().Of(e.op().inputs[0]);
  if (order == Order::kChannelsFirst) std::rotate(from.begin() + 1, from.begin() + 3, from.end());
  e.Result(e.Reshape(e.Input(0, order), from, e.ResultSizes()));
}

/// ResNet's shortcut of option A: cells left out, channels of zeros behind.
void EmitPadChannels(Emission& e) {
  const auto& attributes = e.op().as<graph::PadChannelsAttributes>();
  GraphWriter& writer = e.writer();
  std::string x = e.Input(0, Order::kChannelsFirst);
  if (attributes.stride > 1) {
    const int64_t stride = attributes.stride;
    x = e.Node("Slice", {x, writer.Integers({0, 0}), writer.Integers({kToTheEnd, kToTheEnd}), writer.Integers({2, 3}),
                         writer.Integers({stride, stride})});
  }
  const int64_t more = attributes.channels - e.InputShape(0)[3];
  e.Result(e.Node("Pad", {x, writer.Integers({0, 0, 0, 0, 0, more, 0, 0})}), Order::kChannelsFirst);
}

/// One axis at the places floor(i from / to), in whole numbers.
std::string NearestPlaces(Emission& e, const std::string& x, int64_t axis, int64_t from, int64_t to) {
  if (from == to) return x;
  std::vector<int64_t> places;
  for (int64_t i = 0; i < to; ++i) places.push_back(i * from / to);
  return e.Node("Gather", {x, e.writer().Integers(places)}, {Attribute("axis", axis)});
}

/// Where the factor is a whole number, Resize's arithmetic in floats is exact; elsewhere places are listed.
void EmitResizeNearest(Emission& e) {
  const Shape &from = e.InputShape(0), &to = e.ResultShape();
  const std::string x = e.Input(0, Order::kChannelsFirst);
  if (to[1] % from[1] != 0 || to[2] % from[2] != 0) {
    const std::string tall = NearestPlaces(e, x, 2, from[1], to[1]);
    return e.Result(NearestPlaces(e, tall, 3, from[2], to[2]), Order::kChannelsFirst);
  }
  const int64_t rows = to[1] / from[1], columns = to[2] / from[2];
  const std::vector<float> scales{1, 1, static_cast<float>(rows), static_cast<float>(columns)};
  e.Result(e.Node("Resize", {x, "", e.writer().Floats(scales, {4}, /*wide=*/true)},
                  {Attribute("mode", "nearest"), Attribute("coordinate_transformation_mode", "asymmetric"),
                   Attribute("nearest_mode", "floor")}),
           Order::kChannelsFirst);
}

void EmitConcat(Emission& e) {
  const Order order = e.CommonOrder();
  std::vector<std::string> parts;
  for (size_t i = 0; i < e.op().inputs.size(); ++i) parts.push_back(e.Input(i, order));
  const int axis = e.op().as<graph::ConcatAttributes>().axis;
  e.Result(e.Node("Concat", std::move(parts), {Attribute("axis", AxisIn(order, axis, e.ResultShape().rank()))}), order);
}

void EmitSlice(Emission& e) {
  const auto& attributes = e.op().as<graph::SliceAttributes>();
  const Order order = e.CommonOrder();
  e.Result(e.Slice(e.Input(0, order), AxisIn(order, -1, e.InputShape(0).rank()), attributes.begin, attributes.end),
           order);
}

void EmitPad(Emission& e) {
  const auto& attributes = e.op().as<graph::PadAttributes>();
  const Order order = e.CommonOrder();
  const int rank = e.InputShape(0).rank();
  std::vector<int64_t> pads(2 * static_cast<size_t>(rank));
  for (int i = 0; i < rank; ++i) {
    const auto axis = static_cast<size_t>(AxisIn(order, i, rank));
    pads[axis] = attributes.before[static_cast<size_t>(i)];
    pads[axis + static_cast<size_t>(rank)] = attributes.after[static_cast<size_t>(i)];
  }
  e.Result(e.Node("Pad", {e.Input(0, order), e.writer().Integers(pads), e.writer().Float(attributes.value)}), order);
}

void EmitGather(Emission& e) {
  const auto& attributes = e.op().as<graph::GatherAttributes>();
  const Order order = e.CommonOrder();
  const std::vector<int64_t> places(attributes.index->begin(), attributes.index->end());
  e.Result(e.Node("Gather", {e.Input(0, order), e.writer().Integers(places)},
                  {Attribute("axis", AxisIn(order, attributes.axis, e.InputShape(0).rank()))}),
           order);
}

void EmitResizeLinear(Emission& e) {
  const auto& attributes = e.op().as<graph::ResizeAttributes>();
  const std::string x = e.Input(0, Order::kChannelsFirst);
  const std::string outer = e.Node("Shape", {x}, {Attribute("start", 0), Attribute("end", 2)});
  const std::string sizes =
      e.Node("Concat", {outer, e.writer().Integers({attributes.height, attributes.width})}, {Attribute("axis", 0)});
  const char* mode = attributes.align_corners ? "align_corners" : "half_pixel";
  e.Result(e.Node("Resize", {x, "", "", sizes},
                  {Attribute("mode", "linear"), Attribute("coordinate_transformation_mode", mode)}),
           Order::kChannelsFirst);
}

void EmitFill(Emission& e) {
  const auto& attributes = e.op().as<graph::FillAttributes>();
  const std::vector<Size> sizes = e.ResultSizes();
  std::vector<float> row(static_cast<size_t>(attributes.step == 0 || sizes.empty() ? 1 : sizes.back()[0]));
  for (size_t i = 0; i < row.size(); ++i) row[i] = attributes.value + attributes.step * static_cast<float>(i);
  if (row.size() > 1 && !IsFixed(sizes.back())) e.Fail("a dimension along which values rise can't vary");
  const std::string one = e.writer().Floats(row, sizes.empty() ? Shape{} : Shape{static_cast<int64_t>(row.size())});
  e.Result(sizes.empty() ? one : e.Node("Expand", {one, e.SizesTensor(sizes)}));
}

void EmitArgMax(Emission& e) {
  e.Result(e.Node("ArgMax", {e.Input(0)}, {Attribute("axis", -1), Attribute("keepdims", 0)}));
}

constexpr EmitterRow kRows[] = {
    {OpKind::kReshape, EmitReshape}, {OpKind::kPadChannels, EmitPadChannels},
    {OpKind::kConcat, EmitConcat},   {OpKind::kResizeNearest, EmitResizeNearest},
    {OpKind::kSlice, EmitSlice},     {OpKind::kArgMax, EmitArgMax},
    {OpKind::kFill, EmitFill},       {OpKind::kPad, EmitPad},
    {OpKind::kGather, EmitGather},   {OpKind::kResizeLinear, EmitResizeLinear},
};

}  // namespace

std::span<const EmitterRow> MovementEmitters() { return kRows; }

}  // namespace lockstep::onnx
