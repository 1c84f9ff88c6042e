// Activations of so many bf16 that they are looked up (activation_table.h) have the bits of those that are worked out:
// of every bf16, over and over.
#include <gtest/gtest.h>

#include <memory>

#include "base/bfloat16.h"
#include "tests/gpu/kits.h"
#include "trainer/graph/graph.h"

namespace lockstep::gpu {
namespace {

using graph::Activation;
using graph::OpKind;

constexpr int64_t kAll = 1 << 16;          ///< bf16 that there are, few enough to be worked out
constexpr int64_t kMany = (1 << 24) + 24;  ///< enough to be looked up

class LargeActivationTest : public testing::TestWithParam<Activation> {
 protected:
  LargeActivationTest() {
    for (int64_t i = 0; i < kMany; ++i) {
      host_->As<BFloat16>()[i] = {static_cast<uint16_t>(i % kAll * 40503 % kAll)};
      host_->As<BFloat16>()[kMany + i] = BFloat16::From(static_cast<float>(i % kAll % 301) / 97.0f - 1.5f);
    }
    kit_.stream->Copy(values_->data(), host_->data(), host_->size());
    kit_.stream->Synchronize();
  }

  /// The activation's result for the first `size` of v, or its gradient's for dy and v, is left in host_.
  void Compute(bool gradient, int64_t size) {
    graph::Graph graph;
    graph.values = {{"dy", {size}, DType::kBF16}, {"v", {size}, DType::kBF16}, {"y", {size}, DType::kBF16}};
    const graph::ActivationAttributes attributes{GetParam()};
    graph.ops.push_back(gradient ? graph::Op{OpKind::kActivationGrad, {0, 1}, {2}, attributes, "gradient"}
                                 : graph::Op{OpKind::kActivation, {1}, {2}, attributes, "activation"});
    engine::Operands operands;
    const std::byte* const v = values_->data();
    const std::byte* const dy = values_->data() + kMany * sizeof(BFloat16);
    operands.inputs = gradient ? std::vector<const void*>{dy, v} : std::vector<const void*>{v};
    operands.packed.resize(operands.inputs.size());
    operands.outputs = {y_->data()};
    kit_.backend->Prepare(graph, graph.ops.front(), operands)->Run();
    kit_.stream->Copy(host_->data(), y_->data(), static_cast<size_t>(size) * sizeof(BFloat16));
    kit_.stream->Synchronize();
  }

  static constexpr size_t kBytes = static_cast<size_t>(kMany) * sizeof(BFloat16);
  step::DeviceKit& kit_ = Kit();
  std::unique_ptr<DeviceMemory> values_ = kit_.device->Allocate(2 * kBytes, "v and dy");
  std::unique_ptr<DeviceMemory> y_ = kit_.device->Allocate(kBytes, "y");
  decltype(kit_.device->AllocatePinned(0)) host_ = kit_.device->AllocatePinned(2 * kBytes);
};

TEST_P(LargeActivationTest, HasTheBitsOfFewElements) {
  for (const bool gradient : {false, true}) {
    Compute(gradient, kAll);
    const BFloat16* const results = host_->As<BFloat16>();
    const std::vector<BFloat16> expected(results, results + kAll);
    Compute(gradient, kMany);
    int64_t wrong = 0;
    for (int64_t i = 0; i < kMany; ++i)
      if (results[i].bits != expected[static_cast<size_t>(i % kAll)].bits) ++wrong;
    EXPECT_EQ(wrong, 0) << (gradient ? "gradient" : "activation");
  }
}

INSTANTIATE_TEST_SUITE_P(, LargeActivationTest,
                         testing::Values(Activation::kGelu, Activation::kGeluTanh, Activation::kSilu),
                         [](const auto& test) { return std::string(graph::Name(test.param)); });

}  // namespace
}  // namespace lockstep::gpu
