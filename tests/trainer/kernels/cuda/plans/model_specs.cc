#include "tests/trainer/kernels/cuda/plans/model_specs.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/files/file.h"
#include "launch/recipe/recipe.pb.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/rows_by_kind.h"
#include "trainer/kernels/cuda/kernel_context.h"
#include "trainer/models/models.h"
#include "trainer/passes/passes.h"

namespace lockstep::cuda {
namespace {

constexpr int kGpt2Vocabulary = 50257;

/// Remembers what it is asked for, and has nothing.
class Recorder final : public DenseLibrary {
 public:
  void StartModel(const std::string& name) { model_ = name; }
  ModelSpecs Take() { return std::move(specs_); }

  bool Supports(const MatmulSpec&) override { return true; }
  size_t WorkspaceBytes(const MatmulSpec& spec) override { return Remember(specs_.matmuls, spec); }
  size_t WorkspaceBytes(const ConvolutionSpec& spec) override { return Remember(specs_.convolutions, spec); }
  std::unique_ptr<engine::Kernel> Prepare(const MatmulSpec&, const MatmulOperands&, DeviceStream&) override {
    return nullptr;
  }
  std::unique_ptr<engine::Kernel> Prepare(const ConvolutionSpec&, const ConvolutionOperands&, DeviceStream&) override {
    return nullptr;
  }
  std::string version() const override { return "recorder"; }

 private:
  template <typename Spec>
  size_t Remember(std::vector<ModelSpec<Spec>>& specs, const Spec& spec) {
    if (std::ranges::find(specs, spec, &ModelSpec<Spec>::spec) == specs.end()) specs.push_back({model_, spec});
    return 0;
  }

  std::string model_;
  ModelSpecs specs_;
};

void AddGraph(const graph::Graph& graph, Recorder& recorder) {
  const auto rows = lockstep::graph::CollectRows<KernelRow>("dense ops", {LinearRows(), ConvolutionRows()});
  for (const graph::Op& op : graph.ops) {
    const KernelRow* row = rows.Find(op.kind);
    if (row != nullptr && row->workspace_bytes != nullptr) row->workspace_bytes({{graph, op}, recorder});
  }
}

void AddModel(const std::string& name, const models::ModelConfig& config, const models::DataShape& data, int64_t batch,
              Recorder& recorder) {
  recorder.StartModel(name);
  const auto forward = [&](graph::Mode mode) {
    return passes::FuseActivations(models::Build(config, data, mode, batch).graph, mode == graph::Mode::kTrain);
  };
  AddGraph(passes::RemoveDeadOps(passes::AddGradients(forward(graph::Mode::kTrain), {})), recorder);
  AddGraph(passes::RemoveDeadOps(forward(graph::Mode::kEvaluate)), recorder);
}

models::DataShape Images(int64_t height, int64_t width, int64_t channels, int classes) {
  return {"image", Shape{height, width, channels}, classes, 0};
}

/// What a recipe's training data are, without looking at them; none where they are neither images, which all have ten
/// classes, nor tokens of GPT-2's vocabulary.
std::optional<models::DataShape> DataOf(const data::DataConfig& data) {
  const data::Source& source = data.train();
  const auto images = [](const data::ImageShape& shape) {
    return Images(shape.height(), shape.width(), std::max(shape.channels(), 1u), 10);
  };
  if (source.has_idx()) return Images(28, 28, 1, 10);
  if (source.has_cifar()) return Images(32, 32, 3, 10);
  if (source.has_csv() && source.csv().has_image()) return images(source.csv().image());
  if (source.has_synthetic() && source.synthetic().has_image()) return images(source.synthetic().image());
  if (source.has_synthetic() && source.synthetic().tokens() > 0)
    return models::DataShape{"tokens", Shape{source.synthetic().tokens()},
                             static_cast<int>(source.synthetic().classes()), 0};
  if (source.has_tokens() && data.tokenizer().has_byte_level_bpe())
    return models::DataShape{"tokens", Shape{data.block()}, kGpt2Vocabulary, 0};
  return {};
}

Recipe ReadRecipe(const std::filesystem::path& path) {
  Recipe recipe;
  const std::string text = ReadWholeFile(FileSystem::Real(), path.string());
  CHECK(google::protobuf::TextFormat::ParseFromString(text, &recipe), "{}", path.string());
  CHECK(recipe.train().lanes() > 0, "{}", path.string());
  return recipe;
}

int64_t RowsOfLane(const Recipe& recipe) {
  return static_cast<int64_t>(recipe.train().global_batch()) / recipe.train().lanes();
}

void AddRecipe(const std::filesystem::path& path, Recorder& recorder) {
  const Recipe recipe = ReadRecipe(path);
  if (const auto data = DataOf(recipe.data()))
    AddModel(path.stem().string(), recipe.model(), *data, RowsOfLane(recipe), recorder);
}

models::ModelConfig ResNet(uint32_t depth) {
  models::ModelConfig config;
  config.mutable_resnet()->set_depth(depth);
  return config;
}

}  // namespace

ModelSpecs CollectModelSpecs(const std::string& examples) {
  Recorder recorder;
  AddModel("resnet50", ResNet(50), Images(224, 224, 3, 1000), 32, recorder);
  AddModel("resnet18", ResNet(18), Images(32, 32, 3, 10), 16, recorder);
  std::vector<std::filesystem::path> recipes;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(examples)) {
    if (entry.path().extension() == ".textproto") recipes.push_back(entry.path());
  }
  std::ranges::sort(recipes);
  for (const auto& recipe : recipes) AddRecipe(recipe, recorder);
  return recorder.Take();
}

LaneModel ReadLaneModel(const std::string& path) {
  const Recipe recipe = ReadRecipe(path);
  const auto data = DataOf(recipe.data());
  CHECK(data, "{}", path);
  return {recipe.model(), *data, RowsOfLane(recipe)};
}

}  // namespace lockstep::cuda
