#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trainer/graph/builder.h"
#include "trainer/graph/dot.h"

namespace lockstep::graph {
namespace {

using ::testing::HasSubstr;

TEST(Dot, ShowsOpsAsBoxesAndValuesAsEdgesWithShapes) {
  Builder b(Mode::kTrain, 4);
  ValueId x = b.Linear(b.Input("features", {6}, DType::kF32), "fc1", 5, true, {});
  x = b.Linear(b.Activate(x, Activation::kTanh), "fc\"2", 3, false, {});
  b.SoftmaxCrossEntropy(x, 0);
  const std::string dot = ToDot(b.Finish());
  EXPECT_THAT(dot, HasSubstr("digraph"));
  EXPECT_THAT(dot, HasSubstr("op0 [label=\"0: linear\\nfc1\"]"));
  EXPECT_THAT(dot, HasSubstr("op1 [label=\"1: activation\\ntanh1\\ntanh\"]"));
  EXPECT_THAT(dot, HasSubstr("op0 -> op1 [label=\"fc1 [4, 5]\"]"));
  EXPECT_THAT(dot, HasSubstr("features\\nf32 [4, 6]"));
  EXPECT_THAT(dot, HasSubstr("fc\\\"2")) << "quotes are escaped";
  EXPECT_THAT(dot, HasSubstr("loss: loss"));
  EXPECT_THAT(dot, HasSubstr("counter: correct"));
}

}  // namespace
}  // namespace lockstep::graph
