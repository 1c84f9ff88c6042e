// Three training steps of whole models against PyTorch's, from the same weights and over the same batches, on every
// backend of this machine: make_golden.py wrote what PyTorch computed, and says what is in the files.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/files/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "tests/trainer/kernels/backends.h"
#include "tests/trainer/models/model_world.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/engine/compile.h"
#include "trainer/engine/program.h"
#include "trainer/models/models.h"
#include "trainer/optim/optimizer.h"
#include "trainer/plan/job_plans.h"

namespace lockstep {
namespace {

using conformance::BackendCase;
using engine::ArenaEntry;

constexpr int kSteps = 3;

/// The same models as in make_golden.py, as recipes.
struct GoldenCase {
  std::string name;
  models::DataShape data;
  std::string model, optimizer;
  int64_t rows = 16;
  int64_t places = 0;  ///< of samples that differ in length
};

void PrintTo(const GoldenCase& golden, std::ostream* out) { *out << golden.name; }

models::DataShape Tokens(int64_t block, int vocabulary) {
  return {.input = "tokens", .sample = {block}, .classes = vocabulary};
}

models::DataShape Speech(int64_t channels, int classes) {
  return {.input = "features", .sample = {-1, channels}, .classes = classes};
}

models::DataShape Pairs(int vocabulary) { return {.input = "source", .sample = {-1}, .classes = vocabulary}; }

std::vector<GoldenCase> Cases() {
  return {
      {"convnet", models::Images(28, 28, 1),
       "convnet { stages { channels: 8 kernel: 5 padding: 0 pool: 2 }"
       "          stages { channels: 12 kernel: 5 padding: 0 pool: 2 } hidden: 24 }",
       "sgd {} learning_rate: 0.1"},
      {"resnet8", models::Images(16, 16, 3),
       "resnet { depth: 8 widths: [8, 12, 16] stem: POOL zero_init_residual: false }"
       "loss { softmax_cross_entropy { label_smoothing: 0.1 } }",
       "sgd { momentum: 0.9 nesterov: true } learning_rate: 0.1 weight_decay: 5e-4"},
      {"layer_norm_mlp", models::Features(30, 7),
       "layers { layer { linear { features: 48 } } layer { layer_norm { epsilon: 0.01 } } layer { activation: GELU }"
       "         layer { residual { layer { linear { features: 48 } } layer { activation: GELU } } }"
       "         layer { layer_norm {} } layer { linear {} } }",
       "sgd { momentum: 0.9 } learning_rate: 0.1 weight_decay: 1e-2"},
      {"regression", models::Features(13, 0, 3),
       "mlp { hidden: [32, 16] activation: TANH } loss { mean_squared_error {} }", "sgd {} learning_rate: 0.05"},
      {"gpt", Tokens(12, 19), "gpt { layers: 2 heads: 4 width: 16 context: 15 }", "sgd {} learning_rate: 0.1"},
      {"gpt_rotary", Tokens(12, 19),
       "gpt { layers: 2 heads: 4 kv_heads: 2 width: 16 inner: 24 bias: false feed_forward: SWIGLU norm: RMS"
       "      positions: ROTARY tied: false }",
       "sgd {} learning_rate: 0.1"},
      {"lstm_ctc", Speech(5, 7), "recurrent { layers: 2 hidden: 9 bidirectional: true }", "sgd {} learning_rate: 0.1",
       /*rows=*/6, /*places=*/11},
      {"gru_ctc", Speech(5, 7), "recurrent { layers: 2 hidden: 9 bidirectional: true cell: GRU }",
       "sgd {} learning_rate: 0.1", /*rows=*/6, /*places=*/11},
      {"seq2seq_transformer", Pairs(19),
       "seq2seq { layers: 2 heads: 2 width: 8 inner: 12 } loss { softmax_cross_entropy { label_smoothing: 0.1 } }",
       "sgd {} learning_rate: 0.1", /*rows=*/5, /*places=*/9},
      {"seq2seq_lstm", Pairs(19),
       "seq2seq { kind: LSTM layers: 2 width: 8 } loss { softmax_cross_entropy { label_smoothing: 0.1 } }",
       "sgd {} learning_rate: 0.1", /*rows=*/5, /*places=*/9},
      {"seq2seq_gru", Pairs(19),
       "seq2seq { kind: GRU layers: 2 width: 8 } loss { softmax_cross_entropy { label_smoothing: 0.1 } }",
       "sgd {} learning_rate: 0.1", /*rows=*/5, /*places=*/9},
      {"detector", models::Boxes(44, 36, 3),
       "detector { backbone { resnet { blocks: [1, 2] widths: [8, 12] stem: HALVES stem_width: 6"
       "                                zero_init_residual: false } } strides: [4, 8] neck: 10 head: 1 }",
       "sgd {} learning_rate: 0.02", /*rows=*/3},
      {"fcos", models::Boxes(32, 128, 3),
       "detector { fcos { groups: 4 } neck: 8 head: 2"
       "           backbone { resnet { depth: 50 widths: [2, 2, 3, 4] stem_width: 4 } } }",
       "sgd {} learning_rate: 0.02", /*rows=*/2},
  };
}

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name)
      : file_(FileSystem::Real(), LOCKSTEP_GOLDEN_FOLDER "/" + name + ".safetensors") {}

  std::vector<float> Read(const std::string& name, const Shape& shape) const {
    const auto* entry = file_.Find(name);
    CHECK(entry != nullptr, "the golden file lacks {}", name);
    CHECK(entry->shape == shape, "{} is {}, not {}", name, entry->shape.ToString(), shape.ToString());
    std::vector<float> data(static_cast<size_t>(shape.size()));
    file_.Read(*entry, data);
    return data;
  }

  int CountWithPrefix(const std::string& prefix) const {
    int count = 0;
    for (const auto& entry : file_.entries()) count += entry.name.starts_with(prefix) ? 1 : 0;
    return count;
  }

 private:
  checkpoint::SafetensorsFile file_;
};

/// L2 norms summed over tensors, in double.
struct Norms {
  double difference = 0, whole = 0;

  double relative() const { return std::sqrt(whole > 0 ? difference / whole : difference); }
  void Add(double ours, double theirs, double before = 0) {
    difference += (ours - theirs) * (ours - theirs);
    whole += (theirs - before) * (theirs - before);
  }
};

/// One model in training on one backend: one lane, one program, the optimizer over the whole arena at once.
class Training {
 public:
  Training(const GoldenCase& golden, engine::Backend& backend, bool recompute = false)
      : golden_(golden), config_(ParseOptimizer(golden.optimizer)), plans_(MakePlans(golden, backend, recompute)) {
    const size_t bytes = static_cast<size_t>(layout().elements()) * sizeof(float);
    weights_ = Buffer(bytes);
    gradients_ = Buffer(bytes);
    arena_ = Buffer(static_cast<size_t>(plans_.train.front()->memory.bytes));
    workspace_ = Buffer(plans_.train.front()->workspace_bytes);
    packed_ =
        std::make_unique<engine::PackedWeights>(*plans_.train.front(), layout(), backend, weights_.As<float>().data());
    program_ = std::make_unique<engine::Program>(
        plans_.train.front(), layout(), backend,
        engine::Program::Bindings{weights_.As<float>().data(), gradients_.As<float>().data(), packed_.get(),
                                  arena_.As<std::byte>(), workspace_.As<std::byte>()});
    optimizer_ = std::make_unique<optim::Optimizer>(config_, plan::MakeSegments(plans_, config_),
                                                    optim::RunLength{kSteps, kSteps}, /*lanes=*/1);
    for (size_t i = 0; i < optimizer_->state_names().size(); ++i) state_.emplace_back(bytes);
  }

  const engine::ParameterLayout& layout() const { return plans_.layout; }
  size_t arena_bytes() const { return arena_.As<std::byte>().size(); }
  std::span<float> Weights(const ArenaEntry& entry) { return Part(weights_, entry); }
  std::span<float> Gradient(const ArenaEntry& entry) { return Part(gradients_, entry); }

  void LoadBatch(const GoldenFile& file, const std::string& step) {
    labels_.fill(static_cast<double>(golden_.rows));
    for (const graph::Value& value : plans_.train.front()->graph.values) {
      if (value.role != graph::Role::kInput) continue;
      const std::vector<float> from =
          value.name == "mask"
              ? std::vector<float>(static_cast<size_t>(golden_.rows), 1.0f)
              : file.Read(step + (value.name == golden_.data.input ? "input" : value.name), value.shape);
      value.dtype == DType::kI32 ? Copy<int32_t>(from, value.name) : Copy<float>(from, value.name);
      const auto count = [&](auto counts) {
        return static_cast<double>(std::count_if(from.begin(), from.end(), counts));
      };
      if (value.name == "label") labels_.fill(count([](float label) { return label >= 0; }));
      if (value.name == "heat") labels_[0] = count([](float heat) { return heat == 1; });
      const double inside = count([](float of_cell) { return of_cell == 1; });
      if (value.name == "inside") labels_[1] = inside;
      if (value.name == "inside" && is_fcos()) labels_ = {inside, inside, inside, 1};
    }
  }

  /// The mean loss of the batch, or of its labels; gradients of it are there afterwards.
  double ForwardAndBackward() {
    packed_->Pack();
    for (size_t i = 0; i < labels_.size(); ++i)
      program_->step_block().loss_scale[i] = 1.0f / static_cast<float>(labels_[i]);
    program_->Run(nullptr);
    double loss = 0;
    for (size_t i = 0; i < plans_.train.front()->graph.losses.size(); ++i)
      loss += program_->loss(static_cast<int>(i)) / labels_[i];
    return loss;
  }

  void Update(uint64_t step) {
    optim::Optimizer::Slice slice;
    slice.gradient = gradients_.As<float>();
    slice.weights = weights_.As<float>().data();
    for (const Buffer& buffer : state_) slice.state.push_back(buffer.As<float>().data());
    optimizer_->Update(step, step, 1.0f, slice);
  }

 private:
  bool is_fcos() const { return models::Parse(golden_.model).detector().has_fcos(); }

  static optim::OptimizerConfig ParseOptimizer(const std::string& text) {
    optim::OptimizerConfig config;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &config), "{}", text);
    return config;
  }

  static plan::JobPlans MakePlans(const GoldenCase& golden, engine::Backend& backend, bool recompute) {
    graph::Model model =
        models::Build(models::Parse(golden.model), golden.data, graph::Mode::kTrain, golden.rows, golden.places);
    const engine::ParameterLayout layout(model.graph);
    auto train = std::make_shared<engine::ProgramPlan>(
        engine::Compile(model.graph, layout, backend, {.recompute_activations = recompute}));
    return {std::move(model), layout, {}, {std::move(train)}, {}, {}};
  }

  static std::span<float> Part(const Buffer& buffer, const ArenaEntry& entry) {
    return buffer.As<float>().subspan(static_cast<size_t>(entry.offset), static_cast<size_t>(entry.size()));
  }

  template <typename T>
  void Copy(const std::vector<float>& from, const std::string& input) {
    const std::span<std::byte> memory = program_->input(input);
    CHECK(memory.size() == from.size() * sizeof(T), "{} has {} bytes", input, memory.size());
    std::transform(from.begin(), from.end(), reinterpret_cast<T*>(memory.data()),
                   [](float value) { return static_cast<T>(value); });
  }

  const GoldenCase& golden_;
  optim::OptimizerConfig config_;
  plan::JobPlans plans_;
  Buffer weights_, gradients_, arena_, workspace_;
  std::vector<Buffer> state_;
  std::unique_ptr<engine::PackedWeights> packed_;
  std::unique_ptr<engine::Program> program_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  /// Of the batch, for each loss; its rows, where it has targets.
  std::array<double, graph::StepBlock::kMaxLosses> labels_{};
};

class Golden : public ::testing::TestWithParam<std::tuple<GoldenCase, BackendCase>> {
 protected:
  Golden() : golden_(std::get<0>(GetParam())), file_(golden_.name) {
    PrepareComputeThread(std::get<1>(GetParam()).threads, "golden");
    backend_ = std::get<1>(GetParam()).make();
    training_ = std::make_unique<Training>(golden_, *backend_);
    LoadWeights(*training_);
  }

  void LoadWeights(Training& training) const {
    for (const ArenaEntry& entry : entries()) {
      const std::vector<float> before = file_.Read("before." + entry.name, entry.shape);
      std::copy(before.begin(), before.end(), training.Weights(entry).begin());
    }
  }

  const std::vector<ArenaEntry>& entries() const { return training_->layout().entries(); }

  Norms CompareGradients(const std::string& step) {
    Norms norms;
    for (const ArenaEntry& entry : entries()) {
      if (entry.statistic) continue;
      const std::vector<float> theirs = file_.Read(step + "gradient." + entry.name, entry.shape);
      for (size_t i = 0; i < theirs.size(); ++i) norms.Add(training_->Gradient(entry)[i], theirs[i]);
    }
    return norms;
  }

  /// Where the steps have led, relative to the length of the way.
  Norms CompareState(bool statistics) {
    Norms norms;
    for (const ArenaEntry& entry : entries()) {
      if (entry.statistic != statistics) continue;
      const std::vector<float> before = file_.Read("before." + entry.name, entry.shape);
      const std::vector<float> after = file_.Read("after." + entry.name, entry.shape);
      for (size_t i = 0; i < after.size(); ++i) norms.Add(training_->Weights(entry)[i], after[i], before[i]);
    }
    return norms;
  }

  const GoldenCase golden_;
  const GoldenFile file_;
  std::unique_ptr<engine::Backend> backend_;
  std::unique_ptr<Training> training_;
};

TEST_P(Golden, ActivationsComputedAgainGiveTheSameBits) {
  Training again(golden_, *backend_, /*recompute=*/true);
  LoadWeights(again);
  std::vector<double> losses;
  for (Training* training : {training_.get(), &again}) {
    training->LoadBatch(file_, "step1.");
    losses.push_back(training->ForwardAndBackward());
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_LE(again.arena_bytes(), training_->arena_bytes());
  for (const ArenaEntry& entry : entries()) {
    const std::span<const float> kept = training_->Gradient(entry), repeated = again.Gradient(entry);
    EXPECT_EQ(std::memcmp(kept.data(), repeated.data(), kept.size_bytes()), 0) << entry.name;
  }
}

TEST_P(Golden, ThreeStepsAgreeWithPyTorch) {
  ASSERT_EQ(file_.CountWithPrefix("before."), static_cast<int>(entries().size())) << "both have the same parameters";
  bool statistics = false;
  for (const ArenaEntry& entry : entries()) statistics = statistics || entry.statistic;
  for (int step = 1; step <= kSteps; ++step) {
    const std::string prefix = fmt::format("step{}.", step);
    training_->LoadBatch(file_, prefix);
    const double loss = training_->ForwardAndBackward();
    const double expected = file_.Read(prefix + "loss", {1})[0];
    EXPECT_NEAR(loss, expected, 1e-5 * expected) << "step " << step;
    const double gradient_error = CompareGradients(prefix).relative();
    EXPECT_LE(gradient_error, 1e-4) << "step " << step;
    RecordProperty(fmt::format("loss_error_{}", step), fmt::format("{:.1e}", std::abs(loss / expected - 1)));
    RecordProperty(fmt::format("gradient_error_{}", step), fmt::format("{:.1e}", gradient_error));
    training_->Update(static_cast<uint64_t>(step - 1));
  }
  EXPECT_LE(CompareState(false).relative(), 1e-4) << "weights";
  if (statistics) {
    EXPECT_LE(CompareState(true).relative(), 1e-4) << "running statistics";
  }
}

/// PyTorch computed in float.
std::vector<conformance::BackendCase> FloatBackends() {
  std::vector<conformance::BackendCase> backends;
  for (const conformance::BackendCase& backend : conformance::Backends()) {
    if (backend.activations == DType::kF32) backends.push_back(backend);
  }
  return backends;
}

INSTANTIATE_TEST_SUITE_P(, Golden,
                         ::testing::Combine(::testing::ValuesIn(Cases()), ::testing::ValuesIn(FloatBackends())),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + "_" + std::get<1>(info.param).name;
                         });

}  // namespace
}  // namespace lockstep
