// Products with more elements than 32 bits count, as logits of GPT-2 have: the last rows of one must be what they are
// in a product of those rows alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/bfloat16.h"
#include "tests/gpu/device_timing.h"
#include "tests/gpu/kits.h"
#include "trainer/graph/graph.h"

namespace lockstep::gpu {
namespace {

struct Product {
  int64_t rows, in, out;
};

class LargeProductTest : public testing::Test {
 protected:
  std::unique_ptr<DeviceMemory> Allocate(int64_t elements, DType type, const char* what) {
    return kit_.device->Allocate(static_cast<size_t>(elements * SizeOf(type)), what);
  }

  /// y = x weight^T in bf16; weight is given in float.
  void Multiply(const Product& product, const std::byte* x, const DeviceMemory& weight, std::byte* y) {
    graph::Graph graph;
    graph.values = {{"x", {product.rows, product.in}, DType::kBF16},
                    {"weight", {product.out, product.in}, DType::kF32, graph::Role::kParameter},
                    {"y", {product.rows, product.out}, DType::kBF16}};
    graph.ops.push_back({graph::OpKind::kLinear, {0, 1, graph::kNoValue}, {2}, graph::LinearAttributes{}, "product"});
    const graph::Op& op = graph.ops.front();
    const auto workspace = kit_.device->Allocate(kit_.backend->WorkspaceBytes(graph, op), "workspace");
    const auto packed = kit_.device->Allocate(kit_.backend->PackedBytes(graph, op, 1, 1), "packed weight");
    kit_.backend->PreparePack(graph, op, 1, weight.data(), packed->data())->Run();
    engine::Operands operands;
    operands.inputs = {x, weight.data(), nullptr};
    operands.packed = {nullptr, packed->data(), nullptr};
    operands.outputs = {y};
    operands.workspace = workspace->data();
    kit_.backend->Prepare(graph, op, operands)->Run();
    kit_.stream->Synchronize();
  }

  std::vector<BFloat16> Read(const std::byte* from, int64_t elements) {
    const auto pinned = kit_.device->AllocatePinned(static_cast<size_t>(elements) * sizeof(BFloat16));
    kit_.stream->Copy(pinned->data(), from, pinned->size());
    kit_.stream->Synchronize();
    return {pinned->As<BFloat16>(), pinned->As<BFloat16>() + elements};
  }

  step::DeviceKit& kit_ = Kit();
};

TEST_F(LargeProductTest, LastRowsAreThoseOfASmallProduct) {
  const bool emulated = kit_.device->info().processors == 1;
  const Product whole = emulated ? Product{300, 8, 37} : Product{65536, 64, 50257};
  constexpr int64_t kLast = 100;
  if (kit_.device->free_memory() < static_cast<size_t>(whole.rows * whole.out) * 2 + (size_t{1} << 30))
    GTEST_SKIP() << "the device has too little memory";
  const auto x = Allocate(whole.rows * whole.in, DType::kBF16, "x"),
             weight = Allocate(whole.out * whole.in, DType::kF32, "weight"),
             y = Allocate(whole.rows * whole.out, DType::kBF16, "y"),
             expected = Allocate(kLast * whole.out, DType::kBF16, "the last rows");
  FillRandom(kit_, DType::kBF16, x->bytes());
  FillRandom(kit_, DType::kF32, weight->bytes());
  const int64_t first = whole.rows - kLast;
  Multiply(whole, x->data(), *weight, y->data());
  Multiply({kLast, whole.in, whole.out}, x->data() + first * whole.in * 2, *weight, expected->data());

  const std::vector<BFloat16> actual_rows = Read(y->data() + first * whole.out * 2, kLast * whole.out),
                              expected_rows = Read(expected->data(), kLast * whole.out);
  int64_t wrong = 0;
  double largest = 0;
  for (size_t i = 0; i < expected_rows.size(); ++i) {
    const double e = expected_rows[i].Float(), a = actual_rows[i].Float();
    largest = std::max(largest, std::abs(e));
    // One unit in the last place of bf16, or of the terms where they cancel: the order of sums may differ.
    if (!(std::abs(a - e) <= 0x1p-7 * std::abs(e) + 1e-6)) ++wrong;
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(largest, 1e-4) << "nothing was multiplied";
}

}  // namespace
}  // namespace lockstep::gpu
