#include "tests/trainer/kernels/model_cases.h"
#include "trainer/graph/strided.h"

namespace lockstep {
namespace {

using graph::AxisBits;
using graph::Builder;
using graph::OpKind;
using graph::ReduceFunction;
using graph::ValueId;

ModelCase Reduced(const std::string& name, ReduceFunction function, uint32_t axes) {
  return {name, OpKind::kReduce, [=](Builder& b, ValueId x) { return b.Reduce(x, function, axes, true); }};
}

/// A view of the image, with the batch in front as it was.
ModelCase Viewed(const std::string& name, const graph::StridedAttributes& view) {
  return {name, OpKind::kStrided, [=](Builder& b, ValueId x) { return b.Strided(x, view); }};
}

const Shape kImage = {4, 6, 6, 4};

graph::StridedAttributes Turned(std::vector<int> order) { return graph::Transposed(kImage, order); }

ModelCase Padded(const std::string& name, std::vector<int64_t> before, std::vector<int64_t> after) {
  graph::PadAttributes pad{.value = 0.5f};
  for (size_t d = 0; d < before.size(); ++d) pad.before[d] = before[d], pad.after[d] = after[d];
  return {name, OpKind::kPad, [=](Builder& b, ValueId x) { return b.Pad(x, pad); }};
}

/// The image's rows as matrices, in a batch of [4, 6].
ModelCase Multiplied(const std::string& name, const Shape& weight, const graph::MatMulAttributes& attributes,
                     bool from_left) {
  return {name, OpKind::kMatMul, [=](Builder& b, ValueId x) {
            const ValueId w = b.Parameter("w", weight, {0, 1}, true);
            const ValueId y = from_left ? b.MatMul(w, x, attributes) : b.MatMul(x, w, attributes);
            return b.Reshape(y, {4, b.shape(y).size() / 4});
          }};
}

}  // namespace

std::vector<ModelCase> TensorModelCases() {
  return {
      Reduced("sum", ReduceFunction::kSum, AxisBits({3})),
      Reduced("mean_of_images", ReduceFunction::kMean, AxisBits({1, 2})),
      Reduced("maximum", ReduceFunction::kMax, AxisBits({2})),
      Reduced("minimum", ReduceFunction::kMin, AxisBits({1, 3})),
      Reduced("product", ReduceFunction::kProduct, AxisBits({2})),
      Viewed("transpose", Turned({0, 3, 1, 2})),
      Viewed("transpose_back", Turned({0, 3, 2, 1})),
      Viewed("slice_with_steps", graph::Sliced(kImage, 1, 4, -2, 3)),
      Viewed("reverse_view", graph::Sliced(kImage, 2, 5, -1, 6)),
      {"expansion", OpKind::kStrided,
       [](Builder& b, ValueId x) {
         const ValueId mean = b.Reduce(x, ReduceFunction::kMean, AxisBits({1, 3}), true);
         return b.Strided(mean, graph::Expanded({4, 1, 6, 1}, {4, 2, 6, 3}));
       }},
      {"slice", OpKind::kSlice, [](Builder& b, ValueId x) { return b.Slice(x, 1, 3); }},
      {"concat_of_many", OpKind::kConcat,
       [](Builder& b, ValueId x) {
         return b.Concat({x, b.Slice(x, 0, 1), x, b.Slice(x, 2, 4)});
       }},
      {"concat_of_rows", OpKind::kConcat,
       [](Builder& b, ValueId x) {
         return b.Concat({x, b.Strided(x, graph::Sliced(kImage, 1, 0, 1, 2))}, 1);
       }},
      Padded("pad", {0, 1, 0, 2}, {0, 0, 3, 1}),
      Padded("crop", {0, -2, 0, 0}, {0, 1, -1, 0}),
      {"gather", OpKind::kGather,
       [](Builder& b, ValueId x) {
         return b.Gather(x, 2, {5, 0, 0, 3, 5, 5});
       }},
      {"softmax", OpKind::kSoftmax, [](Builder& b, ValueId x) { return b.Softmax(x); }},
      {"log_softmax", OpKind::kSoftmax, [](Builder& b, ValueId x) { return b.Softmax(x, true); }},
      Multiplied("matmul", {4, 3}, {}, false),
      Multiplied("matmul_by_a_transpose", {3, 4}, {false, true, 0.5f}, false),
      Multiplied("matmul_of_a_transpose", {6, 5}, {true, false}, false),
      Multiplied("matmul_of_two_transposes", {2, 6}, {true, true, 2}, false),
      Multiplied("matmul_from_the_left", {3, 6}, {}, true),
      Multiplied("matmul_from_the_left_by_a_transpose", {6, 4, 2}, {true, true}, true),
      Multiplied("matmul_of_a_batch", {4, 1, 4, 3}, {}, false),
      {"matmul_with_itself", OpKind::kMatMul,
       [](Builder& b, ValueId x) {
         return b.MatMul(x, x, {false, true});
       }},
  };
}

}  // namespace lockstep
