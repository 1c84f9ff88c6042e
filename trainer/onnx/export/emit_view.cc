// Strided views, as slices, transpositions and expansions.
#include <algorithm>
#include <limits>

#include "trainer/onnx/export/emitters.h"
#include "trainer/onnx/export/view_steps.h"

namespace lockstep::onnx {
namespace {

using graph::OpKind;

constexpr int64_t kToTheEnd = std::numeric_limits<int64_t>::max();
constexpr int64_t kToTheFront = std::numeric_limits<int64_t>::min();

/// The view's steps in the graph and in each variation: alike but for numbers.
std::vector<ViewSteps> StepsInAll(Emission& e) {
  std::vector<ViewSteps> all;
  e.sizes().OfOp(e.index(), [&](const graph::Graph& graph, const graph::Op& op) -> int64_t {
    auto steps = StepsOf(op.as<graph::StridedAttributes>(), graph.value(op.inputs[0]).shape);
    if (!steps) e.Fail("a view that is neither slice, transposition nor expansion can't be written");
    all.push_back(*std::move(steps));
    return 0;
  });
  for (const ViewSteps& steps : all)
    if (steps.order != all[0].order || steps.dropped != all[0].dropped)
      e.Fail("its view hangs on the size of the batch");
  return all;
}

/// What Slice takes of an axis.
struct Bounds {
  int64_t begin, end, step;
};

/// A place that varies with its dimension is counted from the end.
int64_t Place(Emission& e, const Size& place, const Size& dimension) {
  if (IsFixed(place)) return place[0];
  Size from_end = place;
  for (size_t i = 0; i < place.size(); ++i) from_end[i] -= dimension[i];
  if (!IsFixed(from_end) || from_end[0] >= 0) e.Fail("its slice hangs on the size of the batch");
  return from_end[0];
}

/// None: the whole dimension.
std::optional<Bounds> BoundsOf(Emission& e, const std::vector<ViewSteps>& all, int axis) {
  const Size dimension = e.sizes().Of(e.op().inputs[0], axis);
  Size begin, end;
  bool whole = true, to_the_end = true, to_the_front = true;
  const int64_t step = all[0].slices[static_cast<size_t>(axis)].step;
  for (size_t i = 0; i < all.size(); ++i) {
    const ViewSteps::Slice& slice = all[i].slices[static_cast<size_t>(axis)];
    begin.push_back(slice.begin);
    end.push_back(slice.begin + slice.count * step);
    whole = whole && slice.begin == 0 && step == 1 && slice.count == dimension[i];
    to_the_end = to_the_end && end.back() >= dimension[i];
    to_the_front = to_the_front && end.back() < 0;
  }
  if (whole) return std::nullopt;
  const int64_t from = Place(e, begin, dimension);
  if (to_the_end) return Bounds{from, kToTheEnd, step};
  if (to_the_front) return Bounds{from, kToTheFront, step};
  return Bounds{from, Place(e, end, dimension), step};
}

std::string SliceAll(Emission& e, const std::string& x, const std::vector<ViewSteps>& all, Order order) {
  std::vector<int64_t> begins, ends, axes, steps;
  const int rank = e.InputShape(0).rank();
  for (int axis = 0; axis < rank; ++axis) {
    const std::optional<Bounds> bounds = BoundsOf(e, all, axis);
    if (!bounds) continue;
    begins.push_back(bounds->begin);
    ends.push_back(bounds->end);
    axes.push_back(AxisIn(order, axis, rank));
    steps.push_back(bounds->step);
  }
  if (axes.empty()) return x;
  GraphWriter& writer = e.writer();
  return e.Node("Slice",
                {x, writer.Integers(begins), writer.Integers(ends), writer.Integers(axes), writer.Integers(steps)});
}

/// Dimensions in y's order, those of size 1 dropped and added.
std::string Reordered(Emission& e, std::string x, const ViewSteps& steps) {
  std::vector<int64_t> dropped(steps.dropped.begin(), steps.dropped.end()), added;
  if (!dropped.empty()) x = e.Node("Squeeze", {x, e.writer().Integers(dropped)});
  std::vector<int> order;
  for (size_t i = 0; i < steps.order.size(); ++i) {
    if (steps.order[i] == ViewSteps::kNew) {
      added.push_back(static_cast<int64_t>(i));
      continue;
    }
    const auto before = std::ranges::count_if(steps.dropped, [&](int axis) { return axis < steps.order[i]; });
    order.push_back(steps.order[i] - static_cast<int>(before));
  }
  if (!std::ranges::is_sorted(order)) x = e.Transpose(x, order);
  return added.empty() ? x : e.Node("Unsqueeze", {x, e.writer().Integers(added)});
}

/// Dimensions that stay as they are are 1 in the shape to expand to.
std::string Expanded(Emission& e, const std::string& x, const ViewSteps& steps) {
  std::vector<Size> shape = e.ResultSizes();
  for (size_t i = 0; i < shape.size(); ++i)
    if (steps.order[i] != ViewSteps::kNew) shape[i].assign(shape[i].size(), 1);
  return e.Node("Expand", {x, e.SizesTensor(shape)});
}

bool Slices(Emission& e, const std::vector<ViewSteps>& all) {
  for (int axis = 0; axis < e.InputShape(0).rank(); ++axis)
    if (BoundsOf(e, all, axis)) return true;
  return false;
}

void EmitStrided(Emission& e) {
  const std::vector<ViewSteps> all = StepsInAll(e);
  const ViewSteps& steps = all[0];
  const bool image = e.InputShape(0).rank() == 4 && e.ResultShape().rank() == 4 && !steps.Expands(e.ResultShape());
  if (image && steps.dropped.empty() && std::ranges::is_sorted(steps.order)) {
    const Order order = e.CommonOrder();
    return e.Result(SliceAll(e, e.Input(0, order), all, order), order);
  }
  // One order of an image is the other order of the result.
  if (image && !Slices(e, all) && std::ranges::equal(steps.order, kOrderChannelsFirst))
    return e.Result(e.Input(0, Order::kChannelsFirst));
  if (image && !Slices(e, all) && std::ranges::equal(steps.order, kPlaceChannelsFirst))
    return e.Result(e.Input(0), Order::kChannelsFirst);
  const std::string y = Reordered(e, SliceAll(e, e.Input(0), all, Order::kOurs), steps);
  e.Result(steps.Expands(e.ResultShape()) ? Expanded(e, y, steps) : y);
}

constexpr EmitterRow kRows[] = {
    {OpKind::kStrided, EmitStrided},
};

}  // namespace

std::span<const EmitterRow> ViewEmitters() { return kRows; }

}  // namespace lockstep::onnx
