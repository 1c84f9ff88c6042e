#include "launch/recipe/resolve_recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/machine/cpu_info.h"
#include "trainer/optim/optimizer.h"

namespace lockstep::launch {
namespace {

void Require(bool condition, const std::string& field, const std::string& message, const std::string& hint) {
  if (!condition) throw Error(ErrorKind::kUsage, message, field, hint);
}

uint32_t DefaultLanes(uint64_t global_batch) {
  for (uint32_t lanes = 8; lanes > 1; --lanes)
    if (global_batch % lanes == 0) return lanes;
  return 1;
}

plan::InstructionSet::Value ResolvedIsa(plan::InstructionSet::Value wanted) {
  const Isa here = DetectIsa();
  const auto of = [](Isa isa) {
    switch (isa) {
      case Isa::kAmx:
        return plan::InstructionSet::AMX;
      case Isa::kAvx512:
        return plan::InstructionSet::AVX512;
      case Isa::kAvx2:
        return plan::InstructionSet::AVX2;
      case Isa::kGeneric:
        break;
    }
    return plan::InstructionSet::GENERIC;
  };
  if (wanted == plan::InstructionSet::AUTO) return of(here);
  Require(wanted <= of(here), "train.isa",
          fmt::format("{} is not among this machine's instruction sets (best: {})",
                      plan::InstructionSet::Value_Name(wanted), Name(here)),
          "run on hosts that have it, or start a run of its own with another train.isa");
  return wanted;
}

bool ReadsText(const data::DataConfig& data) { return data.train().has_text() || data.train().has_tokens(); }

uint32_t DefaultEvaluationBlock(const data::DataConfig& data) {
  constexpr uint32_t kSamples = 500, kTokens = 2048;
  if (const uint32_t tokens = data.train().synthetic().tokens(); tokens > 0) return std::max(1u, kTokens / tokens);
  return ReadsText(data) ? std::max(1u, kTokens / data.block()) : kSamples;
}

void ResolveTrain(Recipe& recipe, const GpuFacts& gpus) {
  plan::TrainConfig& train = *recipe.mutable_train();
  Require(train.epochs() != 0 || train.steps() > 0, "train", "needs either epochs or steps", "for example epochs: 5");
  Require(train.epochs() <= 0 || train.steps() == 0, "train.steps", "is given beside train.epochs",
          "remove one of them; --set train.steps=... takes the place of both");
  constexpr double kMostEpochs = 1e9;
  Require(train.epochs() >= 0 && train.epochs() <= kMostEpochs, "train.epochs",
          fmt::format("{} is not between 0 and {:.0f}", train.epochs(), kMostEpochs), "for example epochs: 5");
  Require(train.global_batch() > 0 || train.batch_tokens() > 0, "train.global_batch", "is missing",
          "for example global_batch: 128, or batch_tokens where samples differ in length");
  Require(train.global_batch() == 0 || train.batch_tokens() == 0, "train.batch_tokens",
          "is given beside train.global_batch", "a batch is of samples or of tokens: remove one");
  if (train.lanes() == 0) train.set_lanes(DefaultLanes(train.global_batch()));
  Require(train.global_batch() % train.lanes() == 0, "train.global_batch",
          fmt::format("{} is not divisible by lanes ({})", train.global_batch(), train.lanes()),
          fmt::format("use a multiple of {}, or another train.lanes", train.lanes()));
  if (train.lane_threads() == 0) train.set_lane_threads(1);
  if (train.device() == plan::Device::AUTO) train.set_device(gpus.any ? plan::Device::GPU : plan::Device::CPU);
  Require(train.device() == plan::Device::CPU || gpus.any, "train.device",
          fmt::format("there is no GPU here: {}", gpus.why_none),
          "ask the job for a GPU, or train on the CPU with --set train.device=CPU");
  constexpr uint32_t kMostDeviceLanes = 2048;  // their sums' stack is in registers
  Require(train.device() != plan::Device::GPU || train.lanes() <= kMostDeviceLanes, "train.lanes",
          fmt::format("{} are more than the {} that a GPU sums", train.lanes(), kMostDeviceLanes), "use fewer lanes");
  const bool bf16 = train.device() == plan::Device::GPU && gpus.bf16;
  if (train.precision() == plan::Precision::AUTO)
    train.set_precision(bf16 ? plan::Precision::BF16 : plan::Precision::F32);
  Require(train.precision() == plan::Precision::F32 || bf16,  // TF32 came with bf16
          "train.precision",
          fmt::format("{} is not available on this device", plan::Precision::Value_Name(train.precision())),
          "use precision: F32");
  // The CPU beside a GPU decides no bits.
  if (train.device() == plan::Device::CPU) train.set_isa(ResolvedIsa(train.isa()));
  if (train.evaluation_block() == 0) train.set_evaluation_block(DefaultEvaluationBlock(recipe.data()));
  if (train.log_every_steps() == 0) train.set_log_every_steps(10);
  if (train.certificate_every_steps() == 0) train.set_certificate_every_steps(100);
  Require(train.init_except().empty() || !train.init_from().empty(), "train.init_except",
          "is given without train.init_from", "without init_from all parameters begin at random");
  if (train.has_early_stopping())
    Require(train.early_stopping().patience() > 0, "train.early_stopping.patience", "is missing",
            "for example patience: 3");
}

}  // namespace

void ResolveRecipe(Recipe& recipe, const GpuFacts& gpus) {
  Require(recipe.name().find('/') == std::string::npos, "name", fmt::format("\"{}\" has a slash", recipe.name()),
          "it names a folder in runs/");
  Require(recipe.has_model(), "model", "is missing", "for example model { mlp { hidden: 64 } }");
  Require(recipe.data().has_train(), "data.train", "is missing",
          "say where the training data lie: see lockstep help recipe");
  if (ReadsText(recipe.data()) && recipe.data().block() == 0) recipe.mutable_data()->set_block(256);
  ResolveTrain(recipe, gpus);
  checkpoint::CheckpointConfig& checkpoint = *recipe.mutable_checkpoint();
  if (checkpoint.keep() == 0) checkpoint.set_keep(3);
  Require(checkpoint.keep() >= 2, "checkpoint.keep", fmt::format("{} is too few", checkpoint.keep()),
          "keep at least 2: while one is written, another must be whole");
  Require(checkpoint.every_minutes() >= 0, "checkpoint.every_minutes",
          fmt::format("{} is less than 0", checkpoint.every_minutes()), "for example every_minutes: 10");
  comm::WatchdogConfig& watchdog = *recipe.mutable_watchdog();
  if (watchdog.timeout_seconds() == 0) watchdog.set_timeout_seconds(60);
  if (watchdog.straggler_factor() == 0) watchdog.set_straggler_factor(2);
  Require(watchdog.straggler_factor() > 1, "watchdog.straggler_factor",
          fmt::format("{} is not more than 1", watchdog.straggler_factor()), "for example straggler_factor: 2");
  constexpr uint32_t kMostProfiledSteps = 1000;
  Require(recipe.profile().steps() <= kMostProfiledSteps, "profile.steps",
          fmt::format("{} is more than {}", recipe.profile().steps(), kMostProfiledSteps),
          "what happens in a step is kept in memory: for example steps: 20");
  optim::Validate(recipe.optimizer());
}

namespace {

/// None of a new run, or of one whose damage the coordinator reports.
std::optional<Recipe> ReadResolved(const std::string& path) {
  try {
    return ReadRecipe(path, {});
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

void KeepForm(const std::string& path, Recipe& recipe) {
  const std::optional<Recipe> before = ReadResolved(path);
  if (!before) return;
  plan::TrainConfig& train = *recipe.mutable_train();
  if (train.lanes() == 0 && before->train().lanes() > 0 && train.global_batch() % before->train().lanes() == 0)
    train.set_lanes(before->train().lanes());
  const data::DataConfig& was = before->data();
  data::DataConfig& data = *recipe.mutable_data();
  if (data.class_names().empty()) *data.mutable_class_names() = was.class_names();
  if (data.alphabet().empty()) data.set_alphabet(was.alphabet());
  if (!data.has_tokenizer() && was.has_tokenizer()) *data.mutable_tokenizer() = was.tokenizer();
  if (was.has_table()) *data.mutable_table() = was.table();
  if (data.normalize().has_auto_()) *data.mutable_normalize() = was.normalize();
}

void KeepResolved(const std::string& path, Recipe& recipe) {
  const std::optional<Recipe> before = ReadResolved(path);
  if (!before) return;
  plan::TrainConfig& train = *recipe.mutable_train();
  if (train.device() == plan::Device::AUTO) train.set_device(before->train().device());
  if (train.precision() == plan::Precision::AUTO) train.set_precision(before->train().precision());
  if (train.isa() == plan::InstructionSet::AUTO) train.set_isa(before->train().isa());
}

}  // namespace lockstep::launch
