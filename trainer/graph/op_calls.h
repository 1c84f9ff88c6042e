// How models ask for single ops, one call each.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "trainer/graph/ops.h"

namespace lockstep::graph {

/// One call per op that models use as it is: each appends the op and returns its result. Ops that come with parameters
/// or depend on the mode belong to layers (Builder, builder.h, which derives from this).
class OpCalls {
 public:
  virtual ~OpCalls() = default;

  /// A product with a weight [out, in] that is there already (tied to an embedding), without bias.
  ValueId TiedLinear(ValueId x, const std::string& name, ValueId weight) {
    return Append(OpKind::kLinear, {x, weight, kNoValue}, LinearAttributes{}, name)[0];
  }
  ValueId MaxPool2d(ValueId x, Pair kernel, Pair stride, Pair padding) {
    return Append(OpKind::kMaxPool2d, {x}, Pool2dAttributes{kernel, stride, padding})[0];
  }
  ValueId AveragePool2d(ValueId x, Pair kernel, Pair stride, Pair padding) {
    return Append(OpKind::kAveragePool2d, {x}, Pool2dAttributes{kernel, stride, padding})[0];
  }
  ValueId GlobalAveragePool(ValueId x) { return Append(OpKind::kGlobalAveragePool, {x})[0]; }
  ValueId Add(ValueId a, ValueId b) { return Append(OpKind::kAdd, {a, b}, ActivationAttributes{Activation::kNone})[0]; }
  ValueId Unary(ValueId x, const UnaryAttributes& attributes) { return Append(OpKind::kUnary, {x}, attributes)[0]; }
  ValueId Binary(BinaryFunction function, ValueId a, ValueId b) {
    return Append(OpKind::kBinary, {a, b}, BinaryAttributes{function})[0];
  }
  ValueId Binary(BinaryFunction function, ValueId a, float b) {
    return Append(OpKind::kBinary, {a, kNoValue}, BinaryAttributes{function, b})[0];
  }
  ValueId Binary(BinaryFunction function, float a, ValueId b) {
    return Append(OpKind::kBinary, {kNoValue, b}, BinaryAttributes{function, a})[0];
  }
  /// `a` and `b` may be kNoValue, and are then the attributes'.
  ValueId Where(ValueId condition, ValueId a, ValueId b, const WhereAttributes& attributes = {}) {
    return Append(OpKind::kWhere, {condition, a, b}, attributes)[0];
  }
  ValueId Cast(ValueId x, DType to) { return Append(OpKind::kCast, {x}, CastAttributes{to})[0]; }
  ValueId Reshape(ValueId x, const Shape& shape) { return Append(OpKind::kReshape, {x}, ReshapeAttributes{shape})[0]; }
  /// Keeps every `stride`-th row and column and appends zero channels: ResNet's option A shortcut.
  ValueId PadChannels(ValueId x, int stride, int64_t channels) {
    return Append(OpKind::kPadChannels, {x}, PadChannelsAttributes{stride, channels})[0];
  }
  ValueId ResizeNearest(ValueId x, int64_t height, int64_t width) {
    return Append(OpKind::kResizeNearest, {x}, ResizeAttributes{.height = height, .width = width})[0];
  }
  ValueId ResizeLinear(ValueId x, int64_t height, int64_t width, bool align_corners) {
    return Append(OpKind::kResizeLinear, {x},
                  ResizeAttributes{.height = height, .width = width, .align_corners = align_corners})[0];
  }
  ValueId Concat(ValueId a, ValueId b) { return Concat(std::vector<ValueId>{a, b}); }
  /// Along dimension `axis`; negative ones count from the end.
  ValueId Concat(std::vector<ValueId> x, int axis = -1) {
    return Append(OpKind::kConcat, std::move(x), ConcatAttributes{axis})[0];
  }
  ValueId Slice(ValueId x, int64_t begin, int64_t end) {
    return Append(OpKind::kSlice, {x}, SliceAttributes{begin, end})[0];
  }
  /// `table` [v, c] and `position` [p >= t, c] (or kNoValue) are parameters; `first` i32 [batch] may be absent.
  ValueId Embedding(ValueId id, const std::string& name, ValueId table, ValueId position,
                    const EmbeddingAttributes& attributes = {}, ValueId first = kNoValue) {
    return Append(OpKind::kEmbedding, {id, table, position, first}, attributes, name)[0];
  }
  ValueId Rotary(ValueId x, const RotaryAttributes& attributes, ValueId first = kNoValue) {
    return Append(OpKind::kRotary, {x, first}, attributes)[0];
  }
  /// Channels [begin, end) of x [batch, t, c] at positions first[n].. of the state `cache` [batch, s, end - begin]: the
  /// cache as it is then.
  ValueId CacheAppend(ValueId cache, ValueId x, ValueId first, int64_t begin, int64_t end) {
    return Append(OpKind::kCacheAppend, {cache, x, first}, SliceAttributes{begin, end})[0];
  }
  /// `memory` and `length` may be kNoValue.
  ValueId Attention(ValueId query, ValueId memory, ValueId length, const AttentionAttributes& attributes) {
    return Append(OpKind::kAttention, {query, memory, length}, attributes)[0];
  }
  ValueId SwiGlu(ValueId x) { return Append(OpKind::kSwiGlu, {x})[0]; }
  ValueId ArgMax(ValueId x) { return Append(OpKind::kArgMax, {x})[0]; }

  /// Over the dimensions of `axes` (AxisBits), which stay with size 1 where `keep` says so.
  ValueId Reduce(ValueId x, ReduceFunction function, uint32_t axes, bool keep = false) {
    return Append(OpKind::kReduce, {x}, ReduceAttributes{function, axes, keep, {}})[0];
  }
  /// A view of x that strided.h makes.
  ValueId Strided(ValueId x, const StridedAttributes& view) { return Append(OpKind::kStrided, {x}, view)[0]; }
  ValueId MatMul(ValueId a, ValueId b, const MatMulAttributes& attributes = {}) {
    return Append(OpKind::kMatMul, {a, b}, attributes)[0];
  }
  /// Over the last dimension.
  ValueId Softmax(ValueId x, bool log = false) { return Append(OpKind::kSoftmax, {x}, SoftmaxAttributes{log})[0]; }
  ValueId Pad(ValueId x, const PadAttributes& pad) { return Append(OpKind::kPad, {x}, pad)[0]; }
  ValueId Gather(ValueId x, int axis, std::vector<int32_t> index) {
    const auto shared = std::make_shared<const std::vector<int32_t>>(std::move(index));
    return Append(OpKind::kGather, {x}, GatherAttributes{axis, shared, {}})[0];
  }

 protected:
  /// Appends an op and returns its results; `name` empty: the kind's name and a number.
  virtual std::vector<ValueId> Append(OpKind kind, std::vector<ValueId> inputs, Attributes attributes = NoAttributes{},
                                      const std::string& name = "") = 0;
};

}  // namespace lockstep::graph
