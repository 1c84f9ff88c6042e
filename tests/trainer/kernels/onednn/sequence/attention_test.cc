// The loops of attention, which are compiled once per instruction set: fused multiply-adds give the same bits at every
// width.
#include "trainer/kernels/onednn/sequence/attention.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/machine/cpu_info.h"
#include "base/philox.h"
#include "trainer/graph/op_table.h"

namespace lockstep::onednn {
namespace {

std::vector<float> Random(int64_t size, uint32_t key) {
  const RandomStream stream{1, 2, key, 3};
  std::vector<float> values;
  for (uint32_t i = 0; i < static_cast<uint32_t>(size); ++i) {
    values.push_back(static_cast<float>(NormalFromBits(stream.Bits(2 * i), stream.Bits(2 * i + 1))));
  }
  return values;
}

/// Results of `kernels`, forward and backward: y, lse, dquery.
std::vector<float> Results(const AttentionKernels& kernels, int64_t places, int64_t head_size, bool causal) {
  constexpr int kHeads = 4, kKvHeads = 2;
  graph::Graph graph;
  const Shape query{2, places, (kHeads + 2 * kKvHeads) * head_size};
  graph.values.push_back({.name = "query", .shape = query});
  graph::AppendOp(graph, graph::OpKind::kAttention, {0, graph::kNoValue, graph::kNoValue},
                  graph::AttentionAttributes{kHeads, kKvHeads, causal}, "attention");
  const AttentionShape shape({{graph, graph.ops[0]}, 1}, 0);
  const int64_t size = 2 * places * kHeads * head_size, rows = 2 * kHeads * places;
  const std::vector<float> x = Random(query.size(), 1), dy = Random(size, 2);
  std::vector<float> y(static_cast<size_t>(size)), lse(static_cast<size_t>(rows)), dx(x.size());
  std::vector<float> workspace(static_cast<size_t>(std::max(ForwardLayout(shape).size, GradLayout(shape).size)));
  const ForwardJob forward{shape, {x.data(), nullptr}, y.data(), lse.data()};
  const GradJob backward{shape, {x.data(), nullptr}, {dx.data(), nullptr}, dy.data(), y.data(), lse.data()};
  for (int64_t pair = 0; pair < shape.pairs(); ++pair) kernels.forward(forward, pair, workspace.data());
  for (int64_t pair = 0; pair < shape.pairs(); ++pair) kernels.backward(backward, pair, workspace.data());
  y.insert(y.end(), lse.begin(), lse.end());
  y.insert(y.end(), dx.begin(), dx.end());
  return y;
}

#ifdef LOCKSTEP_FUSED_X86
TEST(AttentionTest, Avx2AndAvx512GiveTheSameBits) {
  if (DetectIsa() < Isa::kAvx512) GTEST_SKIP() << "this machine has no AVX-512";
  for (const bool causal : {false, true}) {
    EXPECT_EQ(Results(kAttentionAvx2, 150, 20, causal), Results(kAttentionAvx512, 150, 20, causal)) << causal;
    EXPECT_EQ(Results(kAttentionAvx2, 33, 64, causal), Results(kAttentionAvx512, 33, 64, causal)) << causal;
  }
}

TEST(AttentionTest, MachinesWithoutFusedMultiplyAddsAreCloseToThoseWithThem) {
  if (DetectIsa() < Isa::kAvx2) GTEST_SKIP() << "this machine has no AVX2";
  const std::vector<float> fused = Results(kAttentionAvx2, 150, 20, true),
                           plain = Results(kAttentionGeneric, 150, 20, true);
  ASSERT_EQ(fused.size(), plain.size());
  for (size_t i = 0; i < fused.size(); ++i) ASSERT_NEAR(fused[i], plain[i], 1e-4f) << i;
}
#endif

}  // namespace
}  // namespace lockstep::onednn
