// Operators that look things up.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "trainer/onnx/convert/emit.h"
#include "trainer/onnx/convert/layer_weights.h"

namespace lockstep::onnx {
namespace {

/// Places, counted from 0, of a constant index into `size`; nothing where it depends on data or the batch.
std::optional<Dims> PlacesOf(Conversion& to, const std::string& index, int64_t size) {
  const Tensor* constant = to.Constant(index);
  if (constant == nullptr) return std::nullopt;
  Dims places;
  for (const double value : constant->values) {
    const int64_t place = ToInt64(value);
    places.push_back(place < 0 ? place + size : place);
  }
  return places;
}

/// The places of one axis, as a slice where they are evenly apart.
std::string Picked(Conversion& to, const std::string& x, const Dims& from, int axis, const Dims& places,
                   const std::string& name) {
  const int64_t step = places.size() > 1 ? places[1] - places[0] : 1;
  bool even = step != 0;
  for (size_t i = 1; i < places.size(); ++i) even = even && places[i] - places[i - 1] == step;
  if (even) return Sliced(to, x, from, axis, places[0], step, static_cast<int64_t>(places.size()), name);
  if (from[static_cast<size_t>(axis)] == -1) throw Unsupported("a part of the batch");
  models::Node gather = NodeReading({x});
  if (axis != 0) gather.mutable_gather()->set_axis(axis);
  for (const int64_t place : places) gather.mutable_gather()->add_index(static_cast<int32_t>(place));
  return to.Emit(std::move(gather), name);
}

/// A slice of one axis by a constant index, which may have any shape.
void GatherPlaces(Conversion& to, const OpNode& node, int axis, const Dims& places) {
  const Ref x = to.Value(node.input(0));
  const std::string name = to.NameFor(node, "gather");
  Dims picked = to.OpenShape(node.input(0));
  const std::string y = Picked(to, x.name, picked, axis, places, name);
  picked[static_cast<size_t>(axis)] = static_cast<int64_t>(places.size());
  to.Bind(node.output(), {Reshaped(to, y, picked, to.OpenShape(node.output()), name + ".shape"), x.integers});
}

/// Rows of a table [entries, width] by integers that come in: an embedding.
void Embed(Conversion& to, const OpNode& node) {
  const std::string ids = to.Integers(node.input(1));
  models::Node layer = NodeReading({ids});
  std::string name = to.NameFor(node, "embedding");
  if (to.view().IsOfWeights(node.input(0)) && !SourceOf(to.view(), node.input(0)).turned)
    name = TakeWeights(to, node, "embedding", {{"weight", node.input(0)}}, layer);
  else
    layer.add_input(to.Floats(node.input(0)));
  layer.mutable_embedding()->set_entries(static_cast<uint32_t>(node.input_dims(0)[0]));
  layer.mutable_embedding()->set_width(static_cast<uint32_t>(node.input_dims(0)[1]));
  to.Bind(node.output(), {to.Emit(std::move(layer), name)});
}

/// By integers that come in, of a table of any shape: rows of a matrix, and back.
void GatherRows(Conversion& to, const OpNode& node, int axis) {
  const Dims table = to.OpenShape(node.input(0));
  if (std::find(table.begin(), table.end(), -1) != table.end()) throw Unsupported("places in data that depend on data");
  const std::string name = to.NameFor(node, "gather");
  Dims order(table.size());
  std::iota(order.begin(), order.end(), 0);
  order.erase(order.begin() + axis);
  order.insert(order.begin(), axis);
  Dims moved;
  for (const int64_t d : order) moved.push_back(table[static_cast<size_t>(d)]);
  const int64_t entries = moved[0], width = ElementsOf(moved) / std::max<int64_t>(entries, 1);
  const std::string turned = Transposed(to, to.Floats(node.input(0)), order, name + ".axis_first");
  const std::string rows = Reshaped(to, turned, moved, {entries, width}, name + ".rows");
  models::Node layer = NodeReading({to.Integers(node.input(1)), rows});
  layer.mutable_embedding()->set_entries(static_cast<uint32_t>(entries));
  layer.mutable_embedding()->set_width(static_cast<uint32_t>(width));
  if (axis != 0 && node.rank() > 1) throw Unsupported("places of an axis other than the first that depend on data");
  const std::string y = to.Emit(std::move(layer), name);
  Dims shape = to.OpenShape(node.input(1));
  shape.push_back(width);
  to.Bind(node.output(), {Reshaped(to, y, shape, to.OpenShape(node.output()), name + ".shape")});
}

/// The same places for every sample.
void GatherForAll(Conversion& to, const OpNode& node, const Tensor& sample) {
  const Ref x = to.Value(node.input(0));
  const std::string name = to.NameFor(node, "gather");
  Dims picked = to.OpenShape(node.input(0)), places, one = to.OpenShape(node.output());
  for (const double value : sample.values) places.push_back(ToInt64(value) + (value < 0 ? picked[0] : 0));
  const std::string y = Picked(to, x.name, picked, 0, places, name);
  picked[0] = static_cast<int64_t>(places.size());
  one[0] = 1;
  const std::string row = Reshaped(to, y, picked, one, name + ".shape");
  to.Bind(node.output(), {Expanded(to, row, one, to.OpenShape(node.output()), name + ".of_batch"), x.integers});
}

/// Of the places of samples' rows in one vector of all, those within a row; nothing where samples read other samples'
/// rows.
std::optional<Dims> PlacesInRows(const Tensor& index, int64_t batch, int64_t width) {
  const int64_t count = static_cast<int64_t>(index.values.size()) / batch;
  if (count * batch != static_cast<int64_t>(index.values.size())) return std::nullopt;
  Dims places;
  for (size_t i = 0; i < index.values.size(); ++i) {
    const int64_t place = ToInt64(index.values[i]), sample = static_cast<int64_t>(i) / count;
    if (place / width != sample) return std::nullopt;
    if (sample == 0)
      places.push_back(place);
    else if (place % width != places[i % static_cast<size_t>(count)])
      return std::nullopt;
  }
  return places;
}

/// A constant index into [batch width, ..], as exporters write mask[batch_index, place]: of each sample's row the same
/// places. False: it is something else.
bool GatherFromRows(Conversion& to, const OpNode& node) {
  std::optional<Dims> places[2];
  for (const int which : {0, 1}) {
    const Known& index = node.step(which).In(1);
    const int64_t batch = to.view().batch(which), size = node.step(which).DimsOf(0)[0];
    const bool of_batch = batch > 0 && size % batch == 0 && to.OpenShape(node.input(0))[0] == -1;
    if (index.constant == nullptr || !of_batch) return false;
    places[which] = PlacesInRows(*index.constant, batch, size / batch);
  }
  if (!places[0] || places[0] != places[1]) return false;
  const Ref x = to.Value(node.input(0));
  const std::string name = to.NameFor(node, "gather");
  const Dims from = to.OpenShape(node.input(0));
  Dims rows = {-1, node.input_dims(0)[0] / to.view().batch(0)};
  rows.insert(rows.end(), from.begin() + 1, from.end());
  const std::string matrix = Reshaped(to, x.name, from, rows, name + ".rows");
  const std::string y = Picked(to, matrix, rows, 1, *places[0], name);
  rows[1] = static_cast<int64_t>(places[0]->size());
  to.Bind(node.output(), {Reshaped(to, y, rows, to.OpenShape(node.output()), name + ".shape"), x.integers});
  return true;
}

void ConvertGather(Conversion& to, const OpNode& node) {
  const int axis = Axis(node.attributes().Int("axis", 0), node.rank());
  const int64_t size = node.input_dims(0)[static_cast<size_t>(axis)];
  if (const std::optional<Dims> places = PlacesOf(to, node.input(1), size); places && !places->empty())
    return GatherPlaces(to, node, axis, *places);
  if (axis == 0)
    if (const std::optional<Tensor> sample = to.OneSample(node.input(1))) return GatherForAll(to, node, *sample);
  if (axis == 0 && GatherFromRows(to, node)) return;
  if (axis == 0 && node.rank() == 2 && node.rank(1) > 0) return Embed(to, node);
  GatherRows(to, node, axis);
}

/// One component of an index as a function of where it stands: start + step * index[dimension].
struct Component {
  int64_t start = 0, step = 0;
  int dimension = -1;  ///< -1: the same everywhere
};

/// Of an index [dims..., depth], where every component changes evenly along one dimension at most.
std::optional<std::vector<Component>> ComponentsOf(const Tensor& index, const Dims& sizes) {
  const Dims dims(index.dims.begin(), index.dims.end() - 1);
  const size_t depth = static_cast<size_t>(index.dims.back());
  const Dims strides = StridesOf(dims);
  std::vector<Component> components(depth);
  const auto at = [&](int64_t place, size_t c) {
    const int64_t value = ToInt64(index.values[static_cast<size_t>(place) * depth + c]);
    return value < 0 ? value + sizes[c] : value;
  };
  for (size_t c = 0; c < depth; ++c) {
    components[c].start = at(0, c);
    for (size_t d = 0; d < dims.size(); ++d) {
      if (dims[d] < 2 || at(strides[d], c) == components[c].start) continue;
      if (components[c].dimension >= 0) return std::nullopt;
      components[c].dimension = static_cast<int>(d);
      components[c].step = at(strides[d], c) - components[c].start;
    }
  }
  int64_t place = 0;
  bool even = true;
  ForEachIndex(dims, [&](const Dims& where) {
    for (size_t c = 0; c < depth && even; ++c) {
      const Component& component = components[c];
      const int64_t moved = component.dimension < 0 ? 0 : where[static_cast<size_t>(component.dimension)];
      even = at(place, c) == component.start + component.step * moved;
    }
    ++place;
  });
  return even ? std::optional(components) : std::nullopt;
}

/// A GatherND whose index is even: slices of each axis, in another order, and expanded.
class EvenGather {
 public:
  EvenGather(Conversion& to, const OpNode& node) : to_(to), node_(node), name_(to.NameFor(node, "gather")) {}

  /// False: it isn't even.
  bool Run() {
    for (const int which : {0, 1}) {
      const Known& index = node_.step(which).In(1);
      if (index.constant == nullptr) return false;
      const auto components = ComponentsOf(*index.constant, node_.step(which).DimsOf(0));
      if (!components) return false;
      components_[which] = *components;
    }
    const Dims open = to_.OpenShape(node_.input(0));
    std::vector<bool> used(node_.input_dims(1).size(), false);
    for (size_t c = 0; c < components_[0].size(); ++c) {
      const Component &one = components_[0][c], &other = components_[1][c];
      if (one.start != other.start || one.step != other.step || one.dimension != other.dimension) return false;
      if (one.dimension < 0) continue;
      if (used[static_cast<size_t>(one.dimension)]) return false;
      used[static_cast<size_t>(one.dimension)] = true;
    }
    Emit(open);
    return true;
  }

 private:
  void Emit(const Dims& open) {
    const Ref x = to_.Value(node_.input(0));
    const Dims shape = to_.OpenShape(node_.output());
    const size_t depth = components_[0].size(), placed = node_.input_dims(1).size() - 1;
    std::string y = x.name;
    Dims sliced = open;
    for (size_t c = 0; c < depth; ++c) {
      const Component& component = components_[0][c];
      const bool single = component.dimension < 0;
      const int64_t count = single ? 1 : node_.output_dims()[static_cast<size_t>(component.dimension)];
      const bool whole = component.start == 0 && component.step == 1 && count == node_.input_dims(0)[c];
      if (!whole)
        y = Sliced(to_, y, sliced, static_cast<int>(c), component.start, single ? 1 : component.step, count, name_);
      if (!whole) sliced[c] = count;
    }
    // Axes in the order in which the result has them; single ones are dropped by the reshape behind.
    Dims order, expandable(placed, 1);
    for (size_t c = 0; c < depth; ++c)
      if (components_[0][c].dimension < 0) order.push_back(static_cast<int64_t>(c));
    for (size_t d = 0; d < placed; ++d)
      for (size_t c = 0; c < depth; ++c)
        if (components_[0][c].dimension == static_cast<int>(d)) {
          order.push_back(static_cast<int64_t>(c));
          expandable[d] = sliced[c];
        }
    for (size_t d = depth; d < open.size(); ++d) {
      order.push_back(static_cast<int64_t>(d));
      expandable.push_back(open[d]);
    }
    Dims turned;
    for (const int64_t d : order) turned.push_back(sliced[static_cast<size_t>(d)]);
    y = Transposed(to_, y, order, name_ + ".order");
    y = Reshaped(to_, y, turned, expandable, name_ + ".shape");
    to_.Bind(node_.output(), {Expanded(to_, y, expandable, shape, name_ + ".expand"), x.integers});
  }

  Conversion& to_;
  const OpNode& node_;
  const std::string name_;
  std::vector<Component> components_[2];
};

void ConvertGatherNd(Conversion& to, const OpNode& node) {
  if (node.attributes().Int("batch_dims", 0) != 0) throw Unsupported("batch_dims");
  if (EvenGather(to, node).Run()) return;
  const Tensor* index = to.Constant(node.input(1));
  const Dims from = to.OpenShape(node.input(0));
  if (index == nullptr) throw Unsupported("places that depend on data");
  // Places of the first axes, as places of one.
  const int64_t depth = index->dims.back();
  if (std::find(from.begin(), from.begin() + depth, -1) != from.begin() + depth)
    throw Unsupported("a part of the batch");
  const Dims strides = StridesOf(Dims(from.begin(), from.begin() + depth));
  Dims places, joined = {ElementsOf(Dims(from.begin(), from.begin() + depth))};
  joined.insert(joined.end(), from.begin() + depth, from.end());
  for (size_t i = 0; i < index->values.size();) {
    int64_t place = 0;
    for (int64_t d = 0; d < depth; ++d) {
      const int64_t at = ToInt64(index->values[i++]);
      place += (at < 0 ? at + from[static_cast<size_t>(d)] : at) * strides[static_cast<size_t>(d)];
    }
    places.push_back(place);
  }
  const Ref x = to.Value(node.input(0));
  const std::string name = to.NameFor(node, "gather");
  const std::string flat = Reshaped(to, x.name, from, joined, name + ".flat");
  const std::string y = Picked(to, flat, joined, 0, places, name);
  joined[0] = static_cast<int64_t>(places.size());
  to.Bind(node.output(), {Reshaped(to, y, joined, to.OpenShape(node.output()), name + ".shape"), x.integers});
}

/// Elements above or below a diagonal: times ones and zeros.
void ConvertTriangle(Conversion& to, const OpNode& node) {
  const int64_t rows = node.input_dims(0).at(static_cast<size_t>(node.rank() - 2)), columns = node.input_dims(0).back();
  const bool upper = node.attributes().Int("upper", 1) != 0;
  const int64_t shift = node.Has(1) ? node.Agreed([](const Step& step) { return ToInt64(step.Scalar(1)); }) : 0;
  std::vector<float> mask;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      mask.push_back((upper ? column >= row + shift : column <= row + shift) ? 1.0F : 0.0F);
  const std::string name = to.NameFor(node, "triangle");
  const std::string ones = to.EmitBuffer(name + ".ones", {rows, columns}, std::move(mask));
  models::Node where = NodeReading({ones, to.Floats(node.input(0))});
  where.mutable_where()->set_b(0);
  to.Bind(node.output(), {to.Emit(std::move(where), name)});
}

/// Of a constant that is one number everywhere, places don't matter: RoBERTa's kinds of tokens are all zeros.
void ConvertGatherElements(Conversion& to, const OpNode& node) {
  const std::optional<double> number = to.Uniform(node.input(0));
  if (!number) throw Unsupported("places that depend on data");
  const Dims shape = to.OpenShape(node.output());
  Dims one = shape;
  for (int64_t& dim : one) dim = dim == -1 ? 1 : dim;
  const std::string name = to.NameFor(node, "gather");
  const std::string row = to.EmitBuffer(
      name + ".number", one, std::vector<float>(static_cast<size_t>(ElementsOf(one)), static_cast<float>(*number)));
  to.Bind(node.output(), {Expanded(to, row, one, shape, name)});
}

/// x[:] = updates, as exporters write assignments to whole slices: the updates.
void ConvertScatterNd(Conversion& to, const OpNode& node) {
  for (const int which : {0, 1}) {
    const Step& step = node.step(which);
    const Known& index = step.In(1);
    bool whole = index.constant != nullptr && index.dims == Dims{step.DimsOf(0).at(0), 1};
    for (size_t i = 0; whole && i < index.constant->values.size(); ++i)
      whole = index.constant->values[i] == static_cast<double>(i);
    if (!whole) throw Unsupported("an assignment to a part");
  }
  if (node.attributes().String("reduction", "none") != "none") throw Unsupported("a reduction");
  to.Bind(node.output(), to.Value(node.input(2)));
}

}  // namespace

ConvertRules LookupConversions() {
  return {{"Gather", ConvertGather},
          {"GatherElements", ConvertGatherElements},
          {"GatherND", ConvertGatherNd},
          {"ScatterND", ConvertScatterNd},
          {"Trilu", ConvertTriangle}};
}

}  // namespace lockstep::onnx
