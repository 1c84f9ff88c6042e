#include "trainer/engine/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/engine/fake_backend.h"
#include "tests/trainer/engine/small_model.h"
#include "trainer/engine/compile.h"

namespace lockstep::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A compiled small model over memory of its own.
struct World {
  explicit World(graph::Mode mode, FakeBackend* fake, std::vector<ElementRange> buckets = {})
      : model(SmallModel(mode)),
        layout(model),
        plan(std::make_shared<ProgramPlan>(
            Compile(model, layout, *fake, {.mode = mode, .buckets = std::move(buckets)}))),
        memory(*plan, layout),
        packed(*plan, layout, *fake, memory.parameters.As<float>().data()),
        program(plan, layout, *fake, memory.Bind(&packed)) {}

  const float* ParameterAt(const char* name) const {
    return memory.parameters.As<float>().data() + layout.Find(name)->offset;
  }
  const float* GradientAt(const char* name) const {
    return memory.gradients.As<float>().data() + layout.Find(name)->offset;
  }

  graph::Graph model;
  ParameterLayout layout;
  std::shared_ptr<const ProgramPlan> plan;
  Memory memory;
  PackedWeights packed;
  Program program;
};

TEST(Program, RunsKernelsInGraphOrder) {
  FakeBackend backend;
  World world(graph::Mode::kEvaluate, &backend);
  world.program.Run(nullptr);
  world.program.Run(nullptr);
  EXPECT_THAT(backend.order, ElementsAre("conv", "bn", "global_average_pool1", "fc1", "fc2", "loss", "conv", "bn",
                                         "global_average_pool1", "fc1", "fc2", "loss"));
}

TEST(Program, BindsEachKindOfValueToItsMemory) {
  FakeBackend backend;
  World world(graph::Mode::kTrain, &backend);
  const Operands& conv = backend.operands("conv");
  EXPECT_EQ(conv.inputs[0], world.program.input("image").data());
  EXPECT_EQ(conv.inputs[1], world.ParameterAt("conv.weight"));
  EXPECT_EQ(conv.inputs[2], nullptr) << "there is no bias";
  EXPECT_EQ(conv.workspace, world.memory.workspace.data());

  const Operands& norm = backend.operands("bn");
  EXPECT_EQ(norm.inputs[0], conv.outputs[0]);
  EXPECT_EQ(norm.outputs[1], world.GradientAt("bn.running_mean")) << "lane statistics go into the gradient arena";
  EXPECT_EQ(norm.outputs[2], world.GradientAt("bn.running_var"));
  EXPECT_EQ(backend.operands("bn/grad").inputs[3], world.GradientAt("bn.running_mean"));
  EXPECT_EQ(backend.operands("bn/grad").outputs[1], world.GradientAt("bn.weight"));
  EXPECT_EQ(backend.operands("bn/grad").outputs[2], world.GradientAt("bn.bias"));

  EXPECT_EQ(backend.operands("fc2/weight_grad").outputs[0], world.GradientAt("fc2.weight"));
  EXPECT_EQ(backend.operands("fc2/weight_grad").outputs[1], world.GradientAt("fc2.bias"));
  EXPECT_EQ(backend.operands("conv/weight_grad").outputs[1], nullptr) << "nobody wants the bias's gradient";
  EXPECT_EQ(backend.operands("loss/grad").inputs[3], &world.program.step_block());

  const std::span<std::byte> arena = world.memory.arena.As<std::byte>();
  for (const char* op : {"conv", "bn", "fc1", "fc2", "loss", "fc2/input_grad"}) {
    const auto* address = static_cast<const std::byte*>(backend.operands(op).outputs[0]);
    EXPECT_GE(address, arena.data()) << op;
    EXPECT_LT(address, arena.data() + arena.size()) << op;
  }
}

TEST(Program, InputsAreAlignedAndAsLargeAsTheBatch) {
  FakeBackend backend;
  World world(graph::Mode::kTrain, &backend);
  EXPECT_EQ(world.program.input("image").size(), 4u * 4 * 4 * 3 * sizeof(float));
  EXPECT_EQ(world.program.input("label").size(), 4u * sizeof(int32_t));
  for (const char* name : {"image", "label"}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(world.program.input(name).data()) % kBufferAlignment, 0u) << name;
  }
  EXPECT_TRUE(world.program.input("mask").empty());
  EXPECT_TRUE(world.program.input("conv").empty()) << "an activation is no input";

  FakeBackend inferring;
  World infer(graph::Mode::kInfer, &inferring);
  EXPECT_TRUE(infer.program.input("label").empty());
}

TEST(Program, ResultsAreReadWhereKernelsWroteThem) {
  FakeBackend backend;
  backend.actions["loss"] = [](const Operands& o) {
    *static_cast<double*>(o.outputs[0]) = 12.5;
    *static_cast<int64_t*>(o.outputs[2]) = 3;
  };
  backend.actions["fc2"] = [](const Operands& o) { static_cast<float*>(o.outputs[0])[39] = 7; };
  World world(graph::Mode::kEvaluate, &backend);
  world.program.Run(nullptr);
  EXPECT_EQ(world.program.loss(0), 12.5);
  EXPECT_EQ(world.program.counter(0), 3);
  const auto logits = world.program.output("logits");
  ASSERT_EQ(logits.size(), 40 * sizeof(float));
  EXPECT_EQ(reinterpret_cast<const float*>(logits.data())[39], 7);
}

TEST(Program, BucketsAreCalledBetweenKernelsOnceEach) {
  FakeBackend backend;
  World world(graph::Mode::kTrain, &backend, {{0, 20480}, {20480, 32768}, {32768, 36864}, {36864, 40960}});
  world.program.Run(
      [&](int bucket) { backend.order.push_back("bucket " + std::string(1, static_cast<char>('0' + bucket))); });
  EXPECT_THAT(backend.order,
              ElementsAre("bucket 3", "conv", "bn", "global_average_pool1", "fc1", "fc2", "loss", "loss/grad",
                          "fc2/weight_grad", "fc2/input_grad", "fc1/activation_grad", "fc1/weight_grad", "bucket 0",
                          "fc1/input_grad", "global_average_pool1/input_grad", "bn/grad", "bucket 2",
                          "conv/weight_grad", "bucket 1"));
}

TEST(Program, OpsThatReadAParameterInOneLayoutShareItsCopy) {
  FakeBackend backend;
  backend.packs = backend.shares = true;
  World world(graph::Mode::kTrain, &backend);
  ASSERT_EQ(world.packed.copies().size(), 2u) << "one for each of fc1.weight and fc2.weight";
  EXPECT_EQ(world.plan->packed.size(), 4u);
  EXPECT_EQ(backend.packings[1].first, world.ParameterAt("fc2.weight"));
  EXPECT_EQ(backend.operands("fc2").packed[1], backend.packings[1].second);
  EXPECT_EQ(backend.operands("fc2/input_grad").packed[1], backend.packings[1].second);
  EXPECT_EQ(backend.operands("fc1/input_grad").packed[1], backend.packings[0].second);
}

TEST(Program, ProgramsOverTheSameParametersShareCopiesOfOneLayout) {
  for (const bool shares : {true, false}) {
    FakeBackend backend;
    backend.packs = true;
    backend.shares = shares;
    World world(graph::Mode::kTrain, &backend);
    std::vector<std::unique_ptr<PackedWeights>> others;
    const float* parameters = world.memory.parameters.As<float>().data();
    others.push_back(std::make_unique<PackedWeights>(*world.plan, world.layout, backend, parameters));
    const PackedWeights second(*world.plan, world.layout, backend, parameters, {}, others);
    ASSERT_EQ(second.copies().size(), 2u);
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(second.copies()[i] == others[0]->copies()[i], shares);
    EXPECT_EQ(PackedBytes(std::vector{world.plan, world.plan}), (shares ? 1 : 2) * world.plan->packed_bytes);
  }
}

TEST(Program, PackedCopiesArePackedOnceAndReadByTheirOps) {
  FakeBackend backend;
  backend.packs = true;
  World world(graph::Mode::kTrain, &backend);
  ASSERT_EQ(world.packed.copies().size(), 2u);
  ASSERT_EQ(backend.packings.size(), 2u);
  EXPECT_EQ(backend.packings[0].first, world.ParameterAt("fc1.weight"));
  EXPECT_EQ(backend.packings[1].first, world.ParameterAt("fc2.weight"));
  EXPECT_EQ(backend.operands("fc1").packed[1], backend.packings[0].second);
  EXPECT_EQ(backend.operands("fc2").packed[1], backend.packings[1].second);
  EXPECT_EQ(backend.operands("fc1").packed[0], nullptr);
  EXPECT_EQ(backend.operands("fc2/input_grad").packed[1], nullptr);
  EXPECT_EQ(backend.operands("fc1").inputs[1], world.ParameterAt("fc1.weight")) << "the plain one is there as well";
  world.packed.copies()[1]->Pack();
  world.packed.copies()[0]->Pack();
  EXPECT_THAT(backend.order, ElementsAre("pack fc2", "pack fc1"));
}

TEST(Program, ReshapedValuesShareMemoryAndNeedNoKernel) {
  graph::Builder b(graph::Mode::kInfer, 2);
  const graph::ValueId flat = b.Flatten(b.Input("image", {4, 4, 1}, DType::kF32));
  const graph::ValueId y = b.Reshape(b.Reshape(b.Linear(flat, "fc", 6, false, {}), {12}), {3, 4});
  b.Output("y", y);
  b.Output("same", b.Reshape(flat, {32}));
  const graph::Graph model = b.Finish();
  const ParameterLayout layout(model);
  FakeBackend backend;
  backend.unsupported = {graph::OpKind::kReshape};
  auto plan = std::make_shared<ProgramPlan>(Compile(model, layout, backend, {.mode = graph::Mode::kInfer}));
  const Memory memory(*plan, layout);
  Program program(plan, layout, backend, memory.Bind());
  program.Run(nullptr);
  EXPECT_THAT(backend.order, ElementsAre("fc"));
  EXPECT_EQ(backend.operands("fc").inputs[0], program.input("image").data());
  EXPECT_EQ(program.output("y").data(), backend.operands("fc").outputs[0]);
  EXPECT_EQ(program.output("same").data(), program.input("image").data());
}

TEST(Program, AGradientSharedByTwoParametersIsCopiedIntoBothPlaces) {
  graph::Builder b(graph::Mode::kTrain, 4);
  const graph::ValueId p = b.Parameter("p", {4, 8}, {}, true), q = b.Parameter("q", {4, 8}, {}, true);
  b.MeanSquaredError(b.Add(p, q));
  const graph::Graph model = b.Finish();
  const ParameterLayout layout(model);
  FakeBackend backend;
  auto plan = std::make_shared<ProgramPlan>(Compile(model, layout, backend, {.mode = graph::Mode::kTrain}));
  const Memory memory(*plan, layout);
  Program program(plan, layout, backend, memory.Bind());
  const float* gradients = memory.gradients.As<float>().data();
  const Operands& copy = backend.operands("q/grad");
  EXPECT_EQ(copy.inputs[0], gradients + layout.Find("p")->offset);
  EXPECT_EQ(copy.outputs[0], gradients + layout.Find("q")->offset);
}

TEST(Program, ProgramsOfOneExecutorShareAnArena) {
  FakeBackend backend;
  World train(graph::Mode::kTrain, &backend);
  const graph::Graph model = SmallModel(graph::Mode::kEvaluate);
  FakeBackend evaluating;
  auto plan = std::make_shared<ProgramPlan>(Compile(model, train.layout, evaluating, {.mode = graph::Mode::kEvaluate}));
  ASSERT_LE(plan->memory.bytes, train.plan->memory.bytes);
  Program evaluate(plan, train.layout, evaluating, train.memory.Bind());
  const std::span<std::byte> arena = train.memory.arena.As<std::byte>();
  const auto logits = evaluate.output("logits");
  EXPECT_GE(logits.data(), arena.data());
  EXPECT_LE(logits.data() + logits.size(), arena.data() + arena.size());
  EXPECT_NE(evaluate.input("image").data(), train.program.input("image").data());
}

}  // namespace
}  // namespace lockstep::engine
