// The harness itself: it must notice backends that do wrong.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/kernels/check_op.h"
#include "tests/trainer/kernels/op_runner.h"
#include "tests/trainer/kernels/operands.h"
#include "tests/trainer/kernels/reference_backend.h"

namespace lockstep::conformance {
namespace {

/// The first complaint about a linear op of a backend that misbehaves.
std::string Complaint(Misbehaviour misbehaviour) {
  const auto backend = MakeReferenceBackend(misbehaviour);
  const OpCase linear{"linear", {F({3, 5}), Weight({7, 5}), Weight({7})}, graph::LinearAttributes{}};
  const auto lines = CheckOp(*backend, graph::OpKind::kLinear, linear, 0x1p-24);
  return lines.empty() ? "" : lines.front();
}

TEST(HarnessTest, AcceptsWhatIsRight) { EXPECT_EQ(Complaint(Misbehaviour::kNone), ""); }

TEST(HarnessTest, NoticesWritesBehindAnOutput) {
  EXPECT_EQ(Complaint(Misbehaviour::kWritesBehindOutput), "writes outside of output 0");
}

TEST(HarnessTest, NoticesWritesBeforeAnOutput) {
  EXPECT_EQ(Complaint(Misbehaviour::kWritesBeforeOutput), "writes outside of output 0");
}

TEST(HarnessTest, NoticesChangedInputs) { EXPECT_EQ(Complaint(Misbehaviour::kChangesInput), "changes input 0"); }

TEST(HarnessTest, NoticesElementsThatAreNotWritten) {
  EXPECT_EQ(Complaint(Misbehaviour::kLeavesElementOut).substr(0, 41), "first run: output 0: element 20 of [3, 7]");
}

TEST(HarnessTest, NoticesResultsThatDependOnAddresses) {
  EXPECT_EQ(Complaint(Misbehaviour::kDependsOnAddress), "other addresses give other bits");
}

TEST(HarnessTest, NoticesResultsThatDependOnEarlierRuns) {
  EXPECT_EQ(Complaint(Misbehaviour::kDependsOnHistory), "a second run gives other bits");
}

TEST(HarnessTest, NoticesResultsThatDependOnTheWorkspace) {
  EXPECT_EQ(Complaint(Misbehaviour::kTrustsWorkspace).substr(0, 40), "first run: output 0: element 0 of [3, 7]");
}

TEST(HarnessTest, ToleranceIsFourRootKUnitsOfTheMagnitude) {
  const reference::Tensor expected{{2}, {1, -1}, {10, 10}, 4};
  const double tolerance = 4 * 2 * 0x1p-24 * 10;
  EXPECT_EQ(Compare(expected, DType::kF32, {1 + 0.99 * tolerance, -1}, 0x1p-24), "");
  EXPECT_NE(Compare(expected, DType::kF32, {1, -1 - 1.01 * tolerance}, 0x1p-24), "");
  EXPECT_NE(Compare(expected, DType::kF32, {1, NAN}, 0x1p-24), "");
  EXPECT_NE(Compare(expected, DType::kI64, {1, -2}, 0x1p-24), "");
}

}  // namespace
}  // namespace lockstep::conformance
