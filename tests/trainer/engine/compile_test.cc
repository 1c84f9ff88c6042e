#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "tests/trainer/engine/fake_backend.h"
#include "tests/trainer/engine/small_model.h"
#include "trainer/engine/compile.h"
#include "trainer/graph/dot.h"
#include "trainer/graph/op_table.h"

namespace lockstep::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(const std::function<void()>& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "no error";
}

TEST(Compile, RunsThePassesOfEachMode) {
  const auto kinds = [](graph::Mode mode) {
    const graph::Graph model = SmallModel(mode);
    FakeBackend backend;
    std::vector<std::string> names;
    for (const graph::Op& op : Compile(model, ParameterLayout(model), backend, {.mode = mode}).graph.ops) {
      names.push_back(Name(op.kind));
    }
    return names;
  };
  EXPECT_THAT(kinds(graph::Mode::kInfer),
              ElementsAre("conv2d", "batch_norm_infer", "global_average_pool", "linear", "linear"));
  EXPECT_THAT(kinds(graph::Mode::kEvaluate), ElementsAre("conv2d", "batch_norm_infer", "global_average_pool", "linear",
                                                         "linear", "softmax_cross_entropy"));
  EXPECT_THAT(kinds(graph::Mode::kTrain),
              ElementsAre("conv2d", "batch_norm_train", "global_average_pool", "linear", "linear",
                          "softmax_cross_entropy", "softmax_cross_entropy_grad", "linear_weight_grad",
                          "linear_input_grad", "activation_grad", "linear_weight_grad", "linear_input_grad",
                          "global_average_pool_grad", "batch_norm_grad", "conv2d_weight_grad"));
}

TEST(Compile, TakesTheLargestWorkspaceAndAddsUpFlops) {
  const graph::Graph model = SmallModel(graph::Mode::kInfer);
  FakeBackend backend;
  const ProgramPlan plan = Compile(model, ParameterLayout(model), backend, {.mode = graph::Mode::kInfer});
  EXPECT_GE(plan.workspace_bytes, 1000u);
  EXPECT_LT(plan.workspace_bytes, 1100u);
  const double products = 2.0 * (4 * 16 * 5 * 27 + 4 * 5 * 2000 + 4 * 2000 * 10);
  EXPECT_GE(plan.flops, products);
  EXPECT_LE(plan.flops, products + 2000) << "elementwise ops count one per element";
}

TEST(Compile, PlansOnePlaceForEachPackedOperand) {
  const graph::Graph model = SmallModel(graph::Mode::kTrain);
  FakeBackend backend;
  backend.packs = true;
  const ProgramPlan plan = Compile(model, ParameterLayout(model), backend, {.mode = graph::Mode::kTrain});
  ASSERT_EQ(plan.packed.size(), 2u);
  EXPECT_EQ(plan.graph.ops[static_cast<size_t>(plan.packed[0].op)].name, "fc1");
  EXPECT_EQ(plan.packed[0].input, 1);
  ASSERT_EQ(plan.copies.size(), 2u);
  EXPECT_EQ(plan.packed[0].copy, 0);
  EXPECT_EQ(plan.packed[1].copy, 1);
  EXPECT_EQ(plan.copies[0].bytes, 10000u * 4);
  EXPECT_EQ(plan.packed_bytes, 30000u * 4);
}

TEST(Compile, DumpsTheGraphAfterEachPass) {
  const std::string folder = ::testing::TempDir() + "/compile_dumps";
  std::filesystem::remove_all(folder);
  const graph::Graph model = SmallModel(graph::Mode::kTrain);
  FakeBackend backend;
  const ProgramPlan plan =
      Compile(model, ParameterLayout(model), backend, {.mode = graph::Mode::kTrain, .dump_folder = folder});
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  EXPECT_THAT(names, ElementsAre("00-model.dot", "01-sink_transposes.dot", "02-recognise_activations.dot",
                                 "03-fuse_activations.dot", "04-add_gradients.dot", "05-remove_dead_ops.dot",
                                 "06-fuse_elementwise.dot"));
  std::ifstream last(folder + "/06-fuse_elementwise.dot");
  std::stringstream text;
  text << last.rdbuf();
  EXPECT_EQ(text.str(), graph::ToDot(plan.graph));
  std::filesystem::remove_all(folder);
}

TEST(Compile, AFolderThatCannotBeWrittenIsAUsageError) {
  const graph::Graph model = SmallModel(graph::Mode::kTrain);
  FakeBackend backend;
  EXPECT_THAT(ErrorOf(
                  [&] {
                    Compile(model, ParameterLayout(model), backend,
                            {.mode = graph::Mode::kTrain, .dump_folder = "/dev/null/dumps"});
                  },
                  ErrorKind::kUsage),
              HasSubstr("/dev/null/dumps"));
}

TEST(Compile, NamesTheOpThatTheBackendLacks) {
  const graph::Graph model = SmallModel(graph::Mode::kTrain);
  FakeBackend backend;
  backend.unsupported = {graph::OpKind::kBatchNormGrad};
  EXPECT_THAT(ErrorOf([&] { Compile(model, ParameterLayout(model), backend, {.mode = graph::Mode::kTrain}); },
                      ErrorKind::kInternal),
              ::testing::AllOf(HasSubstr("bn/grad"), HasSubstr("fake"), HasSubstr("batch_norm_grad")));
}

TEST(Compile, RejectsAnotherModelsLayoutAndTrainingWithoutALoss) {
  const graph::Graph model = SmallModel(graph::Mode::kTrain);
  graph::Builder b(graph::Mode::kTrain, 4);
  b.Output("y", b.Linear(b.Input("features", {6}, DType::kF32), "fc1", 5, true, {}));
  const graph::Graph other = b.Finish();
  FakeBackend backend;
  EXPECT_THAT(ErrorOf([&] { Compile(model, ParameterLayout(other), backend, {.mode = graph::Mode::kTrain}); },
                      ErrorKind::kUsage),
              HasSubstr("conv.weight"));
  EXPECT_THAT(ErrorOf([&] { Compile(other, ParameterLayout(model), backend, {.mode = graph::Mode::kTrain}); },
                      ErrorKind::kUsage),
              ::testing::AllOf(HasSubstr("[5, 6]"), HasSubstr("[2000, 5]")));
  EXPECT_THAT(ErrorOf([&] { Compile(other, ParameterLayout(other), backend, {.mode = graph::Mode::kTrain}); },
                      ErrorKind::kUsage),
              HasSubstr("no loss"));
}

}  // namespace
}  // namespace lockstep::engine
