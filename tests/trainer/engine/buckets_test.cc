#include "trainer/engine/buckets.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/trainer/engine/fake_backend.h"
#include "tests/trainer/engine/small_model.h"
#include "trainer/engine/compile.h"

namespace lockstep::engine {
namespace {

std::vector<ElementRange> Cut(int64_t elements, int64_t bucket) {
  std::vector<ElementRange> buckets;
  for (int64_t begin = 0; begin < elements; begin += bucket)
    buckets.push_back({begin, std::min(elements, begin + bucket)});
  return buckets;
}

/// By bucket, the op after which it is ready (-1: at the start), as the plan says; every bucket must be named once.
std::vector<int> ReadyAfter(const ProgramPlan& plan, size_t buckets) {
  std::vector<int> after(buckets, -2);
  const auto set = [&](int bucket, int op) {
    EXPECT_EQ(after.at(static_cast<size_t>(bucket)), -2) << "bucket " << bucket << " is ready twice";
    after[static_cast<size_t>(bucket)] = op;
  };
  for (int bucket : plan.buckets_at_start) set(bucket, -1);
  for (size_t op = 0; op < plan.buckets_after.size(); ++op) {
    for (int bucket : plan.buckets_after[op]) set(bucket, static_cast<int>(op));
  }
  return after;
}

/// An element's last use, computed element by element from addresses that the backend was given.
std::vector<int> LastUseByElement(const ProgramPlan& plan, const ParameterLayout& layout, FakeBackend& backend) {
  const Memory memory(plan, layout);
  backend.prepared.clear();
  const PackedWeights packed(plan, layout, backend, memory.parameters.As<float>().data());
  const Program program(std::make_shared<ProgramPlan>(plan), layout, backend, memory.Bind(&packed));
  std::vector<int> last(static_cast<size_t>(layout.elements()), -1);
  const auto mark = [&](const void* address, graph::ValueId id, int op) {
    for (const Buffer* buffer : {&memory.parameters, &memory.gradients}) {
      const auto* begin = reinterpret_cast<const std::byte*>(address);
      if (begin < buffer->data() || begin >= buffer->data() + buffer->size()) continue;
      const size_t first = static_cast<size_t>(begin - buffer->data()) / sizeof(float);
      const size_t size = static_cast<size_t>(plan.graph.value(id).shape.size());
      std::fill_n(last.begin() + static_cast<std::ptrdiff_t>(first), size, op);
    }
  };
  size_t next = 0;
  for (size_t i = 0; i < plan.graph.ops.size(); ++i) {
    const graph::Op& op = plan.graph.ops[i];
    if (next >= backend.prepared.size() || backend.prepared[next].name != op.name) continue;  // a reshape
    const Operands& operands = backend.prepared[next++].operands;
    for (size_t k = 0; k < op.inputs.size(); ++k) {
      if (op.inputs[k] != graph::kNoValue) mark(operands.inputs[k], op.inputs[k], static_cast<int>(i));
    }
    for (size_t k = 0; k < op.outputs.size(); ++k) {
      if (op.outputs[k] != graph::kNoValue) mark(operands.outputs[k], op.outputs[k], static_cast<int>(i));
    }
  }
  EXPECT_EQ(next, backend.prepared.size());
  return last;
}

TEST(Buckets, AreReadyAfterTheLastUseOfTheirElements) {
  const graph::Graph model = SmallModel(graph::Mode::kTrain);
  const ParameterLayout layout(model);
  for (bool packs : {false, true}) {
    for (const std::set<std::string>& frozen :
         {std::set<std::string>{}, {"fc2.bias"}, {"conv.weight", "bn.weight"}, {"fc1.weight", "fc1.bias"}}) {
      for (int64_t size : {64, 4096, 16384, 1 << 20}) {
        FakeBackend backend;
        backend.packs = packs;
        const std::vector<ElementRange> buckets = Cut(layout.elements(), size);
        const ProgramPlan plan =
            Compile(model, layout, backend, {.mode = graph::Mode::kTrain, .frozen = frozen, .buckets = buckets});
        const std::vector<int> after = ReadyAfter(plan, buckets.size());
        const std::vector<int> last = LastUseByElement(plan, layout, backend);
        for (size_t k = 0; k < buckets.size(); ++k) {
          const int expected = *std::max_element(last.begin() + buckets[k].begin, last.begin() + buckets[k].end);
          EXPECT_EQ(after[k], expected) << "bucket " << k << " of " << size;
        }
      }
    }
  }
}

TEST(Buckets, OfFrozenParametersAreReadyOnceTheirWeightsAreRead) {
  graph::Builder b(graph::Mode::kTrain, 4);
  graph::ValueId x = b.Linear(b.Input("features", {64}, DType::kF32), "fc1", 64, false, {});
  x = b.Linear(x, "fc2", 64, false, {});
  b.Parameter("unused", {4096}, {}, true);
  b.SoftmaxCrossEntropy(x, 0);
  const graph::Graph model = b.Finish();
  const ParameterLayout layout(model);
  FakeBackend backend;
  const ProgramPlan plan =
      Compile(model, layout, backend,
              {.mode = graph::Mode::kTrain, .frozen = {"fc1.weight"}, .buckets = Cut(layout.elements(), 4096)});
  ASSERT_EQ(plan.graph.ops[0].name, "fc1");
  ASSERT_EQ(plan.graph.ops.back().name, "fc2/weight_grad");
  EXPECT_EQ(plan.buckets_at_start, std::vector<int>{0}) << "nothing touches the unused parameter";
  EXPECT_EQ(plan.buckets_after.back(), std::vector<int>{1}) << "fc2.weight";
  EXPECT_EQ(plan.buckets_after.front(), std::vector<int>{2}) << "fc1.weight is read by the first op alone";
}

TEST(Buckets, AReshapedParameterIsReadWhereItsReshapeIs) {
  graph::Builder b(graph::Mode::kTrain, 4);
  const graph::ValueId p = b.Parameter("p", {12}, {}, true);
  const graph::ValueId reshaped = b.Reshape(p, {4, 3});
  graph::ValueId x = b.Linear(b.Input("features", {3}, DType::kF32), "fc", 3, false, {});
  x = b.Add(x, reshaped);
  b.MeanSquaredError(x);
  const graph::Graph model = b.Finish();
  const ParameterLayout layout(model);
  FakeBackend backend;
  const ProgramPlan plan =
      Compile(model, layout, backend, {.mode = graph::Mode::kTrain, .frozen = {"p"}, .buckets = {{16, 32}}});
  ASSERT_EQ(layout.Find("p")->offset, 16);
  for (size_t i = 0; i < plan.graph.ops.size(); ++i) {
    EXPECT_EQ(plan.buckets_after[i].size(), plan.graph.ops[i].kind == graph::OpKind::kAdd ? 1u : 0u);
  }
}

TEST(Buckets, ExistOnlyInTraining) {
  const graph::Graph model = SmallModel(graph::Mode::kEvaluate);
  const ParameterLayout layout(model);
  FakeBackend backend;
  const ProgramPlan plan =
      Compile(model, layout, backend, {.mode = graph::Mode::kEvaluate, .buckets = Cut(layout.elements(), 4096)});
  EXPECT_TRUE(plan.buckets_at_start.empty());
  for (const std::vector<int>& buckets : plan.buckets_after) EXPECT_TRUE(buckets.empty());
}

}  // namespace
}  // namespace lockstep::engine
