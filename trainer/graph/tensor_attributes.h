// What ops over tensors of any rank need to know beyond their operands' shapes: reductions, products, and what moves
// elements.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <vector>

#include "base/shape.h"

namespace lockstep::graph {

enum class ReduceFunction : uint8_t { kSum, kMean, kMax, kMin, kProduct };
struct ReduceAttributes {  // kReduce, kReduceGrad
  ReduceFunction function = ReduceFunction::kSum;
  uint32_t axes = 0;  ///< bit i: over dimension i of x
  bool keep = false;  ///< those dimensions stay, with size 1
  Shape result = {};  ///< the gradient op: the shape of x
  bool operator==(const ReduceAttributes&) const = default;
};
const char* Name(ReduceFunction function);

/// The set of these dimensions, as ReduceAttributes has it. REQUIRES: none is negative.
constexpr uint32_t AxisBits(std::initializer_list<int> axes) {
  uint32_t bits = 0;
  for (const int axis : axes) bits |= 1u << axis;
  return bits;
}

struct StridedAttributes {                            // kStrided, kStridedGrad; strided.h makes them
  Shape shape;                                        ///< of y
  std::array<int64_t, Shape::kMaxRank> strides = {};  ///< elements of x from one element of y to the next, by dimension
  int64_t offset = 0;                                 ///< of y's first element in x
  Shape result = {};                                  ///< the gradient op: the shape of x
  bool operator==(const StridedAttributes&) const = default;
};
struct MatMulAttributes {
  bool transpose_a = false, transpose_b = false;  ///< the operand lies as [.., k, m] or [.., n, k]
  float scale = 1;
  bool float_result = false;  ///< y is f32 where operands are bf16: the gradient of a parameter
  bool operator==(const MatMulAttributes&) const = default;
};
struct ConcatAttributes {
  int axis = -1;  ///< negative ones count from the end
  bool operator==(const ConcatAttributes&) const = default;
};
struct SoftmaxAttributes {  // kSoftmax, kSoftmaxGrad
  bool log = false;         ///< y is the logarithm
  bool operator==(const SoftmaxAttributes&) const = default;
};
struct PadAttributes {
  std::array<int64_t, Shape::kMaxRank> before = {}, after = {};  ///< by dimension; negative: so many are cut off
  float value = 0;                                               ///< of new elements; may be infinite
  bool operator==(const PadAttributes&) const = default;
};
struct GatherAttributes {                             // kGather, kGatherGrad
  int axis = 0;                                       ///< at least 0
  std::shared_ptr<const std::vector<int32_t>> index;  ///< at least 0, below x's dimension
  Shape result = {};                                  ///< the gradient op: the shape of x
  bool operator==(const GatherAttributes& other) const {
    return axis == other.axis && result == other.result && (index == other.index || *index == *other.index);
  }
};

}  // namespace lockstep::graph
