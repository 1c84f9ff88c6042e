// Every op on every backend that this machine has, forward and backward, against the double-precision reference. A new
// op needs one line in table.cc, a new backend one in backends.cc.
#include <gtest/gtest.h>

#include <tuple>

#include "base/threads.h"
#include "tests/trainer/kernels/backends.h"
#include "tests/trainer/kernels/check_op.h"
#include "trainer/graph/op_table.h"

namespace lockstep::conformance {
namespace {

using graph::OpKind;

std::string Join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

/// Ops that only passes::FuseForDevice makes, for backends that have them.
bool IsFused(OpKind kind) { return kind >= OpKind::kSoftmaxCrossEntropyTrain && kind <= OpKind::kBatchNormAddGrad; }

/// Likewise: the gradient of a batch norm with a relu, from x and the bias in the place of y.
bool IsFused(OpKind kind, const OpCase& op_case) {
  return kind == OpKind::kBatchNormGrad && op_case.operands[5].fill == Fill::kAbsent && !op_case.operands[6].hidden;
}

class ConformanceTest : public testing::TestWithParam<std::tuple<size_t, int>> {
 protected:
  ConformanceTest() { PrepareComputeThread(backend_case().threads, "conformance"); }

  const BackendCase& backend_case() const { return Backends()[std::get<0>(GetParam())]; }
  OpKind kind() const { return static_cast<OpKind>(std::get<1>(GetParam())); }
};

TEST_P(ConformanceTest, AgreesWithReferenceAtAnyAddress) {
  const OpCases* line = Find(kind());
  ASSERT_NE(line, nullptr) << graph::Name(kind()) << " has no line in the conformance table";
  const auto backend = backend_case().make();
  if (IsFused(kind()) && !backend->Supports(kind())) GTEST_SKIP() << "left to backends that fuse";
  ASSERT_TRUE(backend->Supports(kind()));
  for (const OpCase& op_case : line->cases) {
    if (IsFused(kind(), op_case) && !backend->FusesOps()) continue;
    EXPECT_EQ(Join(CheckOp(*backend, kind(), op_case, backend_case().unit_roundoff, backend_case().activations)), "")
        << op_case.name;
  }
}

TEST_P(ConformanceTest, NoticesOneDisturbedElement) {
  const OpCases* line = Find(kind());
  ASSERT_NE(line, nullptr);
  const auto backend = backend_case().make();
  if (IsFused(kind()) && !backend->Supports(kind())) GTEST_SKIP() << "left to backends that fuse";
  for (const OpCase& op_case : line->cases) {
    if (IsFused(kind(), op_case) && !backend->FusesOps()) continue;
    EXPECT_EQ(Join(UnnoticedDisturbances(*backend, kind(), op_case, backend_case().unit_roundoff,
                                         backend_case().activations)),
              "")
        << op_case.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, ConformanceTest,
                         testing::Combine(testing::Range<size_t>(0, Backends().size()),
                                          testing::Range(0, static_cast<int>(OpKind::kCount))),
                         [](const auto& info) {
                           return Backends()[std::get<0>(info.param)].name + "_" +
                                  graph::Name(static_cast<OpKind>(std::get<1>(info.param)));
                         });

TEST(ConformanceTableTest, HasOneLineWithCasesPerOp) {
  EXPECT_EQ(Table().size(), static_cast<size_t>(OpKind::kCount));
  for (int kind = 0; kind < static_cast<int>(OpKind::kCount); ++kind) {
    const OpCases* line = Find(static_cast<OpKind>(kind));
    ASSERT_NE(line, nullptr) << graph::Name(static_cast<OpKind>(kind)) << " has no line in the conformance table";
    EXPECT_FALSE(line->cases.empty()) << graph::Name(line->kind);
  }
}

}  // namespace
}  // namespace lockstep::conformance
