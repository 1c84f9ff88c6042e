// Operators that move elements and compute none.
#include <fmt/format.h>

#include <numeric>

#include "trainer/onnx/convert/emit.h"
#include "trainer/onnx/fold/slices.h"

namespace lockstep::onnx {
namespace {

/// Matrices that were put into one batch for a transpose, as PyTorch's attention is written: [b, h, t, d] becomes [b h,
/// t, d], [b h, d, t] and [b, h, d, t]. What [b, h, t, d] is called in the file; empty: it is something else.
std::string MatricesBefore(Conversion& to, const OpNode& node) {
  const NodeProto* transpose = to.view().ProducerOf(node.input(0));
  if (transpose == nullptr || transpose->op_type() != "Transpose") return "";
  const NodeProto* merge = to.view().ProducerOf(transpose->input(0));
  if (merge == nullptr || merge->op_type() != "Reshape") return "";
  const Known *x = to.view().Find(merge->input(0), 0), *merged = to.view().Find(merge->output(0), 0);
  const Dims& y = node.output_dims();
  const size_t rank = y.size();
  const bool fits = rank == 4 && x->rank() == 4 && merged->rank() == 3 && x->dims[2] == merged->dims[1] &&
                    x->dims[3] == merged->dims[2] && Attributes(*transpose).Ints("perm", {2, 1, 0}) == Dims{0, 2, 1} &&
                    y[0] == x->dims[0] && y[1] == x->dims[1] && y[2] == x->dims[3] && y[3] == x->dims[2];
  return fits ? merge->input(0) : "";
}

/// The same elements in another shape: whatever the operator said, its result's shape is known.
void ConvertReshape(Conversion& to, const OpNode& node) {
  const Ref x = to.Value(node.input(0));
  if (const std::string matrices = MatricesBefore(to, node); !matrices.empty() && to.IsBound(matrices)) {
    const Ref source = to.Value(matrices);
    return to.Bind(node.output(),
                   {Transposed(to, source.name, {0, 1, 3, 2}, to.NameFor(node, "transpose")), source.integers});
  }
  const Dims from = to.OpenShape(node.input(0)), shape = to.OpenShape(node.output());
  const bool same_batch = !shape.empty() && shape[0] == -1 && node.output_dims()[0] == node.input_dims(0)[0];
  if (from.size() == 4 && shape.size() == 2 && from[0] == -1 && same_batch && !x.integers) {
    models::Node flatten = NodeReading({x.name});
    flatten.mutable_flatten();
    return to.Bind(node.output(), {to.Emit(std::move(flatten), to.NameFor(node, "flatten"))});
  }
  to.Bind(node.output(), {Reshaped(to, x.name, from, shape, to.NameFor(node, "reshape")), x.integers});
}

void ConvertTranspose(Conversion& to, const OpNode& node) {
  const Ref x = to.Value(node.input(0));
  Dims order(static_cast<size_t>(node.rank()));
  std::iota(order.rbegin(), order.rend(), 0);
  order = node.attributes().Ints("perm", order);
  to.Bind(node.output(), {Transposed(to, x.name, order, to.NameFor(node, "transpose")), x.integers});
}

void ConvertExpand(Conversion& to, const OpNode& node) {
  const Ref x = to.Value(node.input(0));
  to.Bind(node.output(),
          {Expanded(to, x.name, to.OpenShape(node.input(0)), to.OpenShape(node.output()), to.NameFor(node, "expand")),
           x.integers});
}

/// The pieces one behind the other.
void ConvertTile(Conversion& to, const OpNode& node) {
  const Ref x = to.Value(node.input(0));
  const Dims times = node.Agreed([](const Step& step) { return step.Ints(1); });
  const Dims from = to.OpenShape(node.input(0));
  const std::string name = to.NameFor(node, "tile");
  std::string y = x.name;
  for (size_t d = 0; d < times.size(); ++d) {
    if (times[d] == 1) continue;
    if (from[d] == -1) throw Unsupported("repeats of the batch");
    models::Node concat = NodeReading(std::vector<std::string>(static_cast<size_t>(times[d]), y));
    concat.mutable_concat()->set_axis(static_cast<int32_t>(d));
    y = to.Emit(std::move(concat), name);
  }
  to.Bind(node.output(), {y, x.integers});
}

void ConvertSlice(Conversion& to, const OpNode& node) {
  const Ref x = to.Value(node.input(0));
  const Dims from = to.OpenShape(node.input(0));
  const std::string name = to.NameFor(node, "slice");
  const std::vector<AxisSlice> slices = SlicesOf(node.step(0)), others = SlicesOf(node.step(1));
  std::string y = x.name;
  for (size_t i = 0; i < slices.size(); ++i) {
    const AxisSlice &slice = slices[i], &other = others.at(i);
    const size_t axis = static_cast<size_t>(slice.axis);
    const bool whole = slice.begin == 0 && slice.step == 1 && slice.count == node.input_dims(0)[axis] &&
                       other.begin == 0 && other.count == node.step(1).DimsOf(0)[axis];
    if (whole) continue;
    if (slice.begin != other.begin || slice.count != other.count)
      throw Unsupported("a slice that depends on the batch");
    y = Sliced(to, y, from, slice.axis, slice.begin, slice.step, slice.count, name);
  }
  to.Bind(node.output(), {y, x.integers});
}

/// Piece `index` of some.
std::string Piece(Conversion& to, const std::string& x, const Dims& from, const SplitPieces& pieces, size_t index,
                  const std::string& name) {
  const int64_t begin =
      std::accumulate(pieces.sizes.begin(), pieces.sizes.begin() + static_cast<int64_t>(index), int64_t{0});
  return Sliced(to, x, from, pieces.axis, begin, 1, pieces.sizes[index], name);
}

void ConvertSplit(Conversion& to, const OpNode& node) {
  const Ref x = to.Value(node.input(0));
  const Dims from = to.OpenShape(node.input(0));
  const SplitPieces pieces = PiecesOf(node.step());
  for (size_t i = 0; i < pieces.sizes.size(); ++i) {
    const std::string& output = node.output(i);
    if (output.empty() || (to.view().ReadersOf(output).empty() && !to.view().IsOutput(output))) continue;
    to.Bind(output, {Piece(to, x.name, from, pieces, i, to.NameFor(node, fmt::format("split{}", i))), x.integers});
  }
}

/// A sequence is no value here: SequenceAt looks for where it comes from.
void ConvertSplitToSequence(Conversion&, const OpNode&) {}

void ConvertSequenceAt(Conversion& to, const OpNode& node) {
  const NodeProto* split = to.view().ProducerOf(node.input(0));
  if (split == nullptr || split->op_type() != "SplitToSequence") throw Unsupported("a sequence that isn't a split");
  const OpNode whole(to.view(), *split);
  const Ref x = to.Value(whole.input(0));
  const Dims from = to.OpenShape(whole.input(0));
  const SplitPieces pieces = SequencePiecesOf(whole.step());
  int64_t place = node.Agreed([](const Step& step) { return ToInt64(step.Scalar(1)); });
  if (place < 0) place += static_cast<int64_t>(pieces.sizes.size());
  const std::string name = to.NameFor(whole, fmt::format("split{}", place));
  const std::string piece = Piece(to, x.name, from, pieces, static_cast<size_t>(place), name);
  Dims shape = from;
  shape[static_cast<size_t>(pieces.axis)] = pieces.sizes[static_cast<size_t>(place)];
  to.Bind(node.output(), {Reshaped(to, piece, shape, to.OpenShape(node.output()), name + ".squeeze"), x.integers});
}

void ConvertConcat(Conversion& to, const OpNode& node) {
  const int64_t axis = Axis(node.attributes().Int("axis", 0), node.rank());
  if (to.OpenShape(node.output())[static_cast<size_t>(axis)] == -1) throw Unsupported("a batch that is put together");
  bool all_integers = true;
  for (size_t i = 0; i < node.inputs(); ++i) all_integers = all_integers && to.Value(node.input(i)).integers;
  models::Node concat;
  for (size_t i = 0; i < node.inputs(); ++i)
    if (node.input_dims(i)[static_cast<size_t>(axis)] != 0)
      concat.add_input(all_integers ? to.Integers(node.input(i)) : to.Floats(node.input(i)));
  if (concat.input_size() == 1) return to.Bind(node.output(), {concat.input(0), all_integers});
  concat.mutable_concat()->set_axis(static_cast<int32_t>(axis));
  to.Bind(node.output(), {to.Emit(std::move(concat), to.NameFor(node, "concat")), all_integers});
}

void ConvertPad(Conversion& to, const OpNode& node) {
  const std::string x = to.Floats(node.input(0)), mode = node.attributes().String("mode", "constant");
  const Dims before = node.Agreed([](const Step& step) { return PaddingOf(step).before; });
  const Dims after = node.Agreed([](const Step& step) { return PaddingOf(step).after; });
  const std::string name = to.NameFor(node, "pad");
  if (mode == "constant") {
    const std::optional<double> value = node.Has(2) ? to.Uniform(node.input(2)) : std::optional<double>(0);
    if (!value) throw Unsupported("a value that depends on data");
    return to.Bind(node.output(), {Padded(to, x, before, after, *value, name)});
  }
  const std::map<std::string, models::Pad::Kind> kinds = {
      {"edge", models::Pad::EDGE}, {"reflect", models::Pad::REFLECT}, {"wrap", models::Pad::WRAP}};
  const auto kind = kinds.find(mode);
  if (kind == kinds.end()) throw Unsupported(fmt::format("mode \"{}\"", mode));
  models::Node pad = NodeReading({x});
  for (const int64_t places : before) pad.mutable_pad()->add_before(places);
  for (const int64_t places : after) pad.mutable_pad()->add_after(places);
  pad.mutable_pad()->set_kind(kind->second);
  to.Bind(node.output(), {to.Emit(std::move(pad), name)});
}

void ConvertDepthToSpace(Conversion& to, const OpNode& node) {
  models::Node move = NodeReading({to.Floats(node.input(0))});
  move.mutable_depth_to_space()->set_block(static_cast<uint32_t>(node.attributes().Int("blocksize", 1)));
  if (node.attributes().String("mode", "DCR") == "DCR") move.mutable_depth_to_space()->set_depth_first(true);
  to.Bind(node.output(), {to.Emit(std::move(move), to.NameFor(node, "depth_to_space"))});
}

void ConvertSpaceToDepth(Conversion& to, const OpNode& node) {
  models::Node move = NodeReading({to.Floats(node.input(0))});
  move.mutable_space_to_depth()->set_block(static_cast<uint32_t>(node.attributes().Int("blocksize", 1)));
  move.mutable_space_to_depth()->set_depth_first(true);
  to.Bind(node.output(), {to.Emit(std::move(move), to.NameFor(node, "space_to_depth"))});
}

}  // namespace

ConvertRules MovementConversions() {
  return {
      {"Concat", ConvertConcat},
      {"DepthToSpace", ConvertDepthToSpace},
      {"Expand", ConvertExpand},
      {"Flatten", ConvertReshape},
      {"Pad", ConvertPad},
      {"Reshape", ConvertReshape},
      {"SequenceAt", ConvertSequenceAt},
      {"Slice", ConvertSlice},
      {"SpaceToDepth", ConvertSpaceToDepth},
      {"Split", ConvertSplit},
      {"SplitToSequence", ConvertSplitToSequence},
      {"Squeeze", ConvertReshape},
      {"Tile", ConvertTile},
      {"Transpose", ConvertTranspose},
      {"Unsqueeze", ConvertReshape},
  };
}

}  // namespace lockstep::onnx
