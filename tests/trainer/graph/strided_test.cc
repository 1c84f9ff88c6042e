#include "trainer/graph/strided.h"

#include <gtest/gtest.h>

#include "tests/trainer/graph/operands.h"

namespace lockstep::graph {
namespace {

/// The elements of x that a view reads, in order.
std::vector<int64_t> Elements(const StridedAttributes& view) {
  std::vector<int64_t> elements;
  for (int64_t i = 0; i < view.shape.size(); ++i) {
    int64_t rest = i, at = view.offset;
    for (int d = view.shape.rank() - 1; d >= 0; --d) {
      at += rest % view.shape.dim(d) * view.strides[static_cast<size_t>(d)];
      rest /= view.shape.dim(d);
    }
    elements.push_back(at);
  }
  return elements;
}

TEST(Strided, ViewsReadWhatTheyAreNamedAfter) {
  const std::vector<int> order = {1, 0};
  EXPECT_EQ(Elements(Transposed({2, 3}, order)), (std::vector<int64_t>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(Elements(Expanded({2, 1}, {2, 2, 3})), (std::vector<int64_t>{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(Elements(Sliced({3, 4}, 1, 3, -2, 2)), (std::vector<int64_t>{3, 1, 7, 5, 11, 9}));
}

TEST(Strided, TransposesAreRecognised) {
  for (const std::vector<int>& order : {std::vector<int>{2, 0, 3, 1}, {0, 3, 1, 2}, {3, 2, 1, 0}, {0, 1, 2, 3}}) {
    for (const Shape& x : {Shape{2, 3, 4, 5}, Shape{2, 1, 4, 1}, Shape{1, 7, 7, 1}}) {
      const StridedAttributes view = Transposed(x, order);
      const auto found = AsTranspose(view, x);
      ASSERT_TRUE(found.has_value()) << x.ToString();
      EXPECT_EQ(Elements(Transposed(x, *found)), Elements(view));
      EXPECT_EQ(Transposed(x, *found).shape, view.shape);
    }
  }
  EXPECT_FALSE(AsTranspose(Sliced({3, 4}, 1, 0, 1, 3), {3, 4}).has_value());
  EXPECT_FALSE(AsTranspose(Sliced({3, 4}, 1, 3, -1, 4), {3, 4}).has_value());
  EXPECT_FALSE(AsTranspose(Expanded({1, 4}, {4, 4}), {1, 4}).has_value());
}

TEST(Strided, TwoViewsInARowAreOneWhereTheyCanBe) {
  const Shape x = {3, 4, 5};
  const std::vector<int> order = {2, 0, 1};
  const StridedAttributes first = Transposed(x, order);
  const auto expect_one = [&](const StridedAttributes& second) {
    const auto both = Composed(first, second);
    ASSERT_TRUE(both.has_value());
    const std::vector<int64_t> middle = Elements(first);
    std::vector<int64_t> elements;
    for (const int64_t i : Elements(second)) elements.push_back(middle[static_cast<size_t>(i)]);
    EXPECT_EQ(Elements(*both), elements);
    EXPECT_EQ(both->shape, second.shape);
  };
  expect_one(Transposed(first.shape, order));
  expect_one(Sliced(first.shape, 0, 4, -2, 3));
  expect_one(Sliced(first.shape, 2, 1, 1, 2));
  expect_one(Expanded(first.shape, {2, 5, 3, 4}));
  const StridedAttributes across_rows{.shape = {10}, .strides = {3}};
  EXPECT_FALSE(Composed(first, across_rows).has_value());
}

TEST(Strided, ViewsStayInsideAndReadNothingTwice) {
  Operands v;
  const ValueId x = v.Add({4, 6});
  EXPECT_EQ(v.Infer(OpKind::kStrided, {x}, Sliced({4, 6}, 1, 0, 2, 3)), "f32 [4, 3]");
  EXPECT_EQ(v.Infer(OpKind::kStrided, {v.Add({4, 6}, DType::kI32)}, Expanded({4, 6}, {2, 4, 6})), "i32 [2, 4, 6]");
  ExpectMentions(v.Infer(OpKind::kStrided, {x}, StridedAttributes{.shape = {5}, .strides = {6}}), {"24", "[4, 6]"});
  ExpectMentions(v.Infer(OpKind::kStrided, {x}, StridedAttributes{.shape = {2}, .strides = {-1}}), {"-1 to 0"});
  ExpectMentions(v.Infer(OpKind::kStrided, {x}, StridedAttributes{.shape = {3, 3}, .strides = {1, 1}}), {"twice"});
}

TEST(TensorShapes, FollowAxesAndBroadcasting) {
  Operands v;
  const ValueId x = v.Add({2, 3, 4, 5});
  EXPECT_EQ(v.Infer(OpKind::kReduce, {x}, ReduceAttributes{ReduceFunction::kMax, AxisBits({1, 3}), false, {}}),
            "f32 [2, 4]");
  EXPECT_EQ(v.Infer(OpKind::kReduce, {x}, ReduceAttributes{ReduceFunction::kMax, AxisBits({1, 3}), true, {}}),
            "f32 [2, 1, 4, 1]");
  EXPECT_EQ(v.Infer(OpKind::kConcat, {x, v.Add({2, 7, 4, 5}), x}, ConcatAttributes{1}), "f32 [2, 13, 4, 5]");
  EXPECT_EQ(v.Infer(OpKind::kMatMul, {x, v.Add({3, 5, 6})}, MatMulAttributes{}), "f32 [2, 3, 4, 6]");
  EXPECT_EQ(v.Infer(OpKind::kMatMul, {v.Add({4, 5}, DType::kBF16), v.Add({5, 6})}, MatMulAttributes{}), "bf16 [4, 6]");
  PadAttributes pad;
  pad.before = {0, 1, -2, 0}, pad.after = {0, 1, 0, 3};
  EXPECT_EQ(v.Infer(OpKind::kPad, {x}, pad), "f32 [2, 5, 2, 8]");
  const auto index = std::make_shared<const std::vector<int32_t>>(std::vector<int32_t>{2, 0, 0, 1});
  EXPECT_EQ(v.Infer(OpKind::kGather, {x}, GatherAttributes{1, index, {}}), "f32 [2, 4, 4, 5]");
}

TEST(TensorShapes, RejectionsNameWhatDoesNotFit) {
  Operands v;
  const ValueId x = v.Add({2, 3, 4, 5});
  ExpectMentions(v.Infer(OpKind::kReduce, {x}, ReduceAttributes{.axes = AxisBits({4})}),
                 {"[2, 3, 4, 5]", "dimension 4"});
  ExpectMentions(v.Infer(OpKind::kConcat, {x, v.Add({2, 3, 4, 6})}, ConcatAttributes{1}),
                 {"[2, 3, 4, 6]", "dimension 1 alone"});
  ExpectMentions(v.Infer(OpKind::kMatMul, {x, v.Add({4, 6})}, MatMulAttributes{}), {"[2, 3, 4, 5]", "[4, 6]"});
  ExpectMentions(v.Infer(OpKind::kMatMul, {x, v.Add({4, 5, 6})}, MatMulAttributes{}), {"[4, 5, 6]", "equal or 1"});
  PadAttributes pad;
  pad.before = {0, -3};
  ExpectMentions(v.Infer(OpKind::kPad, {x}, pad), {"dimension 1"});
  const auto index = std::make_shared<const std::vector<int32_t>>(std::vector<int32_t>{2, 3});
  ExpectMentions(v.Infer(OpKind::kGather, {x}, GatherAttributes{1, index, {}}), {"has 3", "3 places"});
}

}  // namespace
}  // namespace lockstep::graph
