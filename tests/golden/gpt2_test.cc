// GPT-2 as Hugging Face's transformers saved it, through train.init_from: our logits against those that transformers
// computed, on every backend of this machine. make_golden.py wrote the folders.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "base/files/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "launch/job/init_from.h"
#include "tests/trainer/kernels/backends.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/engine/compile.h"
#include "trainer/engine/program.h"
#include "trainer/models/models.h"

namespace lockstep {
namespace {

using conformance::BackendCase;

constexpr int64_t kBatch = 3, kTime = 16;
constexpr int kVocabulary = 61;

std::vector<float> ReadExpected(const std::string& folder, const std::string& name, const Shape& shape) {
  const checkpoint::SafetensorsFile file(FileSystem::Real(), folder + "/expected.safetensors");
  const auto* entry = file.Find(name);
  CHECK(entry != nullptr && entry->shape == shape, "{}", name);
  std::vector<float> data(static_cast<size_t>(shape.size()));
  file.Read(*entry, data);
  return data;
}

/// A recipe that begins with the folder's weights.
Recipe RecipeOf(const std::string& folder) {
  return launch::ParseRecipe(
      "name: \"golden\" model { gpt { layers: 2 heads: 3 width: 24 inner: 24 feed_forward: GELU_TANH } }"
      "data { block: 16 train { synthetic { tokens: 16 classes: 61 } } }"
      "train { steps: 1 global_batch: 4 } optimizer { sgd {} learning_rate: 0.1 }",
      "golden", "/", {"train.init_from=" + folder});
}

/// The model's logits over `tokens`, with the weights that the recipe says.
std::vector<float> Infer(Recipe recipe, const std::vector<float>& tokens, engine::Backend& backend) {
  const models::DataShape data{.input = "tokens", .sample = {kTime}, .classes = kVocabulary};
  const graph::Model model = models::Build(recipe.model(), data, graph::Mode::kInfer, kBatch);
  const engine::ParameterLayout layout(model.graph);
  engine::CompileOptions options;
  options.mode = graph::Mode::kInfer;
  const auto plan = std::make_shared<const engine::ProgramPlan>(engine::Compile(model.graph, layout, backend, options));
  const Buffer weights(static_cast<size_t>(layout.elements()) * sizeof(float));
  const Buffer arena(static_cast<size_t>(plan->memory.bytes)), workspace(plan->workspace_bytes);
  launch::ResolveInitFrom(recipe)(model.graph, layout, weights.As<float>().data());
  engine::PackedWeights packed(*plan, layout, backend, weights.As<float>().data());
  packed.Pack();
  engine::Program program(
      plan, layout, backend,
      {weights.As<float>().data(), nullptr, &packed, arena.As<std::byte>(), workspace.As<std::byte>()});
  auto* input = reinterpret_cast<int32_t*>(program.input("tokens").data());
  std::transform(tokens.begin(), tokens.end(), input, [](float token) { return static_cast<int32_t>(token); });
  program.Run(nullptr);
  const auto logits = program.output("logits");
  const auto* begin = reinterpret_cast<const float*>(logits.data());
  return {begin, begin + logits.size() / sizeof(float)};
}

class GoldenGpt2 : public ::testing::TestWithParam<std::tuple<std::string, BackendCase>> {};

TEST_P(GoldenGpt2, LogitsAreThoseOfTransformers) {
  const auto& [name, backend] = GetParam();
  const std::string folder = LOCKSTEP_GOLDEN_FOLDER "/" + name;
  PrepareComputeThread(backend.threads, "golden");
  const std::vector<float> tokens = ReadExpected(folder, "tokens", {kBatch, kTime});
  const std::vector<float> theirs = ReadExpected(folder, "logits", {kBatch, kTime, kVocabulary});
  const std::vector<float> ours = Infer(RecipeOf(folder), tokens, *backend.make());
  ASSERT_EQ(ours.size(), theirs.size());
  float error = 0;
  for (size_t i = 0; i < ours.size(); ++i) error = std::max(error, std::abs(ours[i] - theirs[i]));
  RecordProperty("error", fmt::format("{:.1e}", error));
  EXPECT_LE(error, 1e-4f);
}

/// transformers computed in float.
std::vector<BackendCase> FloatBackends() {
  std::vector<BackendCase> backends;
  std::copy_if(conformance::Backends().begin(), conformance::Backends().end(), std::back_inserter(backends),
               [](const BackendCase& backend) { return backend.activations == DType::kF32; });
  return backends;
}

INSTANTIATE_TEST_SUITE_P(, GoldenGpt2,
                         ::testing::Combine(::testing::Values("gpt2", "gpt2_half_in_parts", "gpt2_bfloat16"),
                                            ::testing::ValuesIn(FloatBackends())),
                         [](const auto& info) { return std::get<0>(info.param) + "_" + std::get<1>(info.param).name; });

}  // namespace
}  // namespace lockstep
