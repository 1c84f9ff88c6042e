#include "launch/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/threads.h"
#include "data/source_file.h"
#include "trainer/optim/optimizer.h"
#include "trainer/optim/schedule.h"

namespace lockstep::launch {
namespace {

namespace pb = google::protobuf;

/// Keeps the first complaint of the text parser.
class FirstError : public pb::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text.empty()) {
      text = message;
      at_line = line + 1;
      at_column = column + 1;
    }
  }
  void AddWarning(int, int, const std::string&) override {}

  std::string text;
  int at_line = 0, at_column = 0;
};

/// Fields that hold paths of files, whichever message they are in.
bool IsPath(const pb::FieldDescriptor& field) {
  static const std::set<std::string> kPaths = {
      "lockstep.data.Idx.images",
      "lockstep.data.Idx.labels",
      "lockstep.data.Cifar.files",
      "lockstep.data.Csv.file",
      "lockstep.data.Text.file",
      "lockstep.data.Tokens.files",
      "lockstep.data.Speech.manifest",
      "lockstep.data.Parallel.source",
      "lockstep.data.Parallel.target",
      "lockstep.data.ByteLevelBpe.vocabulary",
      "lockstep.data.ByteLevelBpe.merges",
      "lockstep.data.TokenizerConfig.tokenizer_json",
      "lockstep.data.TokenizerConfig.sentencepiece",
      "lockstep.loop.TrainConfig.init_from"};
  return kPaths.count(field.full_name()) > 0;
}

/// Calls `visit(message, field, path)` for every field that is set, depth first.
template <typename Visit>
void VisitFields(pb::Message& message, const std::string& prefix, const Visit& visit) {
  std::vector<const pb::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    const std::string path = prefix.empty() ? field->name() : prefix + "." + field->name();
    visit(message, *field, path);
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      VisitFields(*message.GetReflection()->MutableMessage(&message, field), path, visit);
      continue;
    }
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i)
      VisitFields(*message.GetReflection()->MutableRepeatedMessage(&message, field, i), fmt::format("{}[{}]", path, i), visit);
  }
}

void ResolvePathsIn(pb::Message& message, const pb::FieldDescriptor& field, const std::string& folder, const std::string& path) {
  const pb::Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated())
    return reflection.SetString(&message, &field, data::ResolveDataPath(reflection.GetString(message, &field), folder, path));
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i)
    reflection.SetRepeatedString(&message, &field, i, data::ResolveDataPath(reflection.GetRepeatedString(message, &field, i), folder, path));
}

void ResolvePaths(Recipe& recipe, const std::string& folder) {
  VisitFields(recipe, "", [&](pb::Message& message, const pb::FieldDescriptor& field, const std::string& path) {
    if (IsPath(field)) ResolvePathsIn(message, field, folder, path);
  });
}

/// The text that sets `field` to `value`: strings need no quotes on the command line, lists are separated by commas.
std::string FieldText(const pb::FieldDescriptor& field, const std::string& value) {
  const auto quoted = [&](const std::string& item) {
    if (field.cpp_type() != pb::FieldDescriptor::CPPTYPE_STRING) return item;
    std::string text = "\"";
    for (char c : item) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    return text + '"';
  };
  if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) return fmt::format("{} {{ {} }}", field.name(), value);
  if (!field.is_repeated()) return fmt::format("{}: {}", field.name(), quoted(value));
  std::string text;
  std::istringstream items(value);
  for (std::string item; std::getline(items, item, ',');) text += fmt::format("{}: {} ", field.name(), quoted(item));
  return text;
}

[[noreturn]] void BadSetting(const std::string& setting, const std::string& message, const std::string& hint) {
  throw Error(ErrorKind::kUsage, message, "--set " + setting, hint);
}

void ApplySetting(Recipe& recipe, const std::string& setting) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) BadSetting(setting, "is not PATH=VALUE", "for example --set train.seed=2");
  const std::string value = setting.substr(equals + 1);
  pb::Message* message = &recipe;
  const pb::FieldDescriptor* field = nullptr;
  std::istringstream path(setting.substr(0, equals));
  for (std::string name; std::getline(path, name, '.');) {
    if (field != nullptr) {
      if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated())
        BadSetting(setting, fmt::format("{} has no fields", field->name()), "see lockstep help recipe");
      message = message->GetReflection()->MutableMessage(message, field);
    }
    field = message->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) {
      std::vector<std::string> known;
      for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) known.push_back(message->GetDescriptor()->field(i)->name());
      BadSetting(setting, fmt::format("there is no field \"{}\"", name), fmt::format("known here: {}", fmt::join(known, ", ")));
    }
  }
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  const std::string text = FieldText(*field, value);
  // First by itself: "train.seed=1 steps: 3" and two alternatives at once must not pass.
  std::unique_ptr<pb::Message> alone(message->New());
  if (!parser.ParseFromString(text, alone.get()))
    BadSetting(setting, fmt::format("{} can't be \"{}\": {}", field->name(), value, error.text), "see lockstep help recipe");
  std::vector<const pb::FieldDescriptor*> set;
  alone->GetReflection()->ListFields(*alone, &set);
  for (const pb::FieldDescriptor* other : set)
    if (other != field)
      BadSetting(setting, fmt::format("{} can't be \"{}\": it sets {} too", field->name(), value, other->name()), "give each a --set of its own");
  if (field->is_repeated()) message->GetReflection()->ClearField(message, field);
  CHECK(parser.MergeFromString(text, message));
  // Relative paths on the command line start at the working directory; the recipe's own are resolved later.
  if (IsPath(*field)) ResolvePathsIn(*message, *field, ".", setting.substr(0, equals));
}

void Require(bool condition, const std::string& field, const std::string& message, const std::string& hint) {
  if (!condition) throw Error(ErrorKind::kUsage, message, field, hint);
}

uint32_t DefaultLanes(uint64_t global_batch) {
  for (uint32_t lanes = 8; lanes > 1; --lanes)
    if (global_batch % lanes == 0) return lanes;
  return 1;
}

loop::InstructionSet::Value ResolvedIsa(loop::InstructionSet::Value wanted) {
  const Isa here = DetectIsa();
  const auto of = [](Isa isa) {
    switch (isa) {
      case Isa::kAmx:
        return loop::InstructionSet::AMX;
      case Isa::kAvx512:
        return loop::InstructionSet::AVX512;
      case Isa::kAvx2:
        return loop::InstructionSet::AVX2;
      case Isa::kGeneric:
        break;
    }
    return loop::InstructionSet::GENERIC;
  };
  if (wanted == loop::InstructionSet::AUTO) return of(here);
  Require(wanted <= of(here), "train.isa", fmt::format("{} is not among this machine's instruction sets (best: {})", loop::InstructionSet::Value_Name(wanted), Name(here)),
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
  loop::TrainConfig& train = *recipe.mutable_train();
  Require(train.epochs() > 0 || train.steps() > 0, "train", "needs either epochs or steps", "for example epochs: 5");
  Require(train.epochs() <= 0 || train.steps() == 0, "train.steps", "is given beside train.epochs",
          "set one of them, with --set train.steps=... --set train.epochs=0 for example");
  constexpr double kMostEpochs = 1e9;
  Require(train.epochs() >= 0 && train.epochs() <= kMostEpochs, "train.epochs",
          fmt::format("{} is not between 0 and {:.0f}", train.epochs(), kMostEpochs), "for example epochs: 5");
  Require(train.global_batch() > 0 || train.batch_tokens() > 0, "train.global_batch", "is missing",
          "for example global_batch: 128, or batch_tokens where samples differ in length");
  Require(train.global_batch() == 0 || train.batch_tokens() == 0, "train.batch_tokens", "is given beside train.global_batch",
          "a batch is of samples or of tokens: remove one");
  if (train.lanes() == 0) train.set_lanes(DefaultLanes(train.global_batch()));
  Require(train.global_batch() % train.lanes() == 0, "train.global_batch",
          fmt::format("{} is not divisible by lanes ({})", train.global_batch(), train.lanes()),
          fmt::format("use a multiple of {}, or another train.lanes", train.lanes()));
  if (train.lane_threads() == 0) train.set_lane_threads(1);
  if (train.device() == loop::Device::AUTO) train.set_device(gpus.any ? loop::Device::GPU : loop::Device::CPU);
  Require(train.device() == loop::Device::CPU || gpus.any, "train.device", fmt::format("there is no GPU here: {}", gpus.why_none),
          "ask the job for a GPU, or train on the CPU with --set train.device=CPU");
  constexpr uint32_t kMostDeviceLanes = 2048;  // their sums' stack is in registers
  Require(train.device() != loop::Device::GPU || train.lanes() <= kMostDeviceLanes, "train.lanes",
          fmt::format("{} are more than the {} that a GPU sums", train.lanes(), kMostDeviceLanes), "use fewer lanes");
  const bool bf16 = train.device() == loop::Device::GPU && gpus.bf16;
  if (train.precision() == loop::Precision::AUTO) train.set_precision(bf16 ? loop::Precision::BF16 : loop::Precision::F32);
  Require(train.precision() == loop::Precision::F32 || bf16,  // TF32 came with bf16
          "train.precision", fmt::format("{} is not available on this device", loop::Precision::Value_Name(train.precision())), "use precision: F32");
  // The CPU beside a GPU decides no bits.
  if (train.device() == loop::Device::CPU) train.set_isa(ResolvedIsa(train.isa()));
  if (train.evaluation_block() == 0) train.set_evaluation_block(DefaultEvaluationBlock(recipe.data()));
  if (train.log_every_steps() == 0) train.set_log_every_steps(10);
  if (train.certificate_every_steps() == 0) train.set_certificate_every_steps(100);
  Require(train.init_except().empty() || !train.init_from().empty(), "train.init_except", "is given without train.init_from",
          "without init_from all parameters begin at random");
  if (train.has_early_stopping())
    Require(train.early_stopping().patience() > 0, "train.early_stopping.patience", "is missing", "for example patience: 3");
}

}  // namespace

Recipe ParseRecipe(const std::string& text, const std::string& name, const std::string& folder,
                   const std::vector<std::string>& settings) {
  Recipe recipe;
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &recipe))
    throw Error(ErrorKind::kUsage, error.text, fmt::format("{}:{}:{}", name, error.at_line, error.at_column), "see lockstep help recipe");
  for (const std::string& setting : settings) ApplySetting(recipe, setting);
  ResolvePaths(recipe, folder);
  if (recipe.name().empty()) recipe.set_name(std::filesystem::path(name).stem().string());
  return recipe;
}

Recipe ReadRecipe(const std::string& path, const std::vector<std::string>& settings) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!file || std::filesystem::is_directory(path) || !(text << file.rdbuf()))
    throw Error(ErrorKind::kUsage, fmt::format("the recipe can't be read: {}", errno == 0 ? "it is empty or a folder" : std::strerror(errno)), path,
                "lockstep train takes the path of a recipe, for example examples/digits.textproto");
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return ParseRecipe(text.str(), path, folder.empty() ? "." : folder.string(), settings);
}

void ResolveRecipe(Recipe& recipe, const GpuFacts& gpus) {
  Require(recipe.name().find('/') == std::string::npos, "name", fmt::format("\"{}\" has a slash", recipe.name()), "it names a folder in runs/");
  Require(recipe.has_model(), "model", "is missing", "for example model { mlp { hidden: 64 } }");
  Require(recipe.data().has_train(), "data.train", "is missing", "say where the training data lie: see lockstep help recipe");
  if (ReadsText(recipe.data()) && recipe.data().block() == 0) recipe.mutable_data()->set_block(256);
  ResolveTrain(recipe, gpus);
  checkpoint::CheckpointConfig& checkpoint = *recipe.mutable_checkpoint();
  if (checkpoint.keep() == 0) checkpoint.set_keep(3);
  Require(checkpoint.keep() >= 2, "checkpoint.keep", fmt::format("{} is too few", checkpoint.keep()),
          "keep at least 2: while one is written, another must be whole");
  Require(checkpoint.every_minutes() >= 0, "checkpoint.every_minutes", fmt::format("{} is less than 0", checkpoint.every_minutes()),
          "for example every_minutes: 10");
  comm::WatchdogConfig& watchdog = *recipe.mutable_watchdog();
  if (watchdog.timeout_seconds() == 0) watchdog.set_timeout_seconds(60);
  if (watchdog.straggler_factor() == 0) watchdog.set_straggler_factor(2);
  Require(watchdog.straggler_factor() > 1, "watchdog.straggler_factor", fmt::format("{} is not more than 1", watchdog.straggler_factor()),
          "for example straggler_factor: 2");
  optim::Validate(recipe.optimizer());
}

std::string ToText(const Recipe& recipe) {
  std::string text;
  pb::TextFormat::PrintToString(recipe, &text);
  return text;
}

Recipe IdentityOf(const Recipe& recipe) {
  Recipe identity = recipe;
  identity.clear_name();
  identity.clear_checkpoint();
  identity.clear_watchdog();
  identity.mutable_data()->clear_threads();
  identity.mutable_data()->clear_verify();
  loop::TrainConfig& train = *identity.mutable_train();
  train.clear_init_from();
  train.clear_log_every_steps();
  train.clear_on_other_hardware();
  train.clear_on_nonfinite();
  train.clear_recompute_activations();
  train.clear_certificate_every_steps();
  if (!train.has_early_stopping()) {  // what evaluations find decides nothing then
    train.clear_evaluate_every_steps();
    train.clear_evaluation_block();
  }
  VisitFields(identity, "", [](pb::Message& message, const pb::FieldDescriptor& field, const std::string&) {
    if (IsPath(field)) message.GetReflection()->ClearField(&message, &field);
  });
  return identity;
}

std::vector<std::string> DifferingFields(const Recipe& a, const Recipe& b) {
  struct Collector : pb::util::MessageDifferencer::Reporter {
    void Note(const std::vector<pb::util::MessageDifferencer::SpecificField>& path) {
      std::string text;
      for (const auto& part : path)
        if (part.field != nullptr) text += (text.empty() ? "" : ".") + part.field->name();
      if (std::find(fields.begin(), fields.end(), text) == fields.end()) fields.push_back(text);
    }
    void ReportAdded(const pb::Message&, const pb::Message&,
                     const std::vector<pb::util::MessageDifferencer::SpecificField>& path) override {
      Note(path);
    }
    void ReportDeleted(const pb::Message&, const pb::Message&,
                       const std::vector<pb::util::MessageDifferencer::SpecificField>& path) override {
      Note(path);
    }
    void ReportModified(const pb::Message&, const pb::Message&,
                        const std::vector<pb::util::MessageDifferencer::SpecificField>& path) override {
      // A message that holds a field that differs is reported after the field.
      const pb::FieldDescriptor* last = path.back().field;
      if (last == nullptr || last->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) Note(path);
    }
    std::vector<std::string> fields;
  } collector;
  pb::util::MessageDifferencer differencer;
  differencer.ReportDifferencesTo(&collector);
  differencer.Compare(a, b);
  return collector.fields;
}

void CheckContinues(const Recipe& before, const Recipe& now, bool change_numerics) {
  Recipe old_identity = IdentityOf(before), new_identity = IdentityOf(now);
  const loop::TrainConfig &was = before.train(), &is = now.train();
  const bool longer = (is.steps() > 0) == (was.steps() > 0) && (is.epochs() > was.epochs() || is.steps() > was.steps());
  const bool extendable = optim::IsExtendable(now.optimizer().schedule());
  if (longer && extendable) {
    old_identity.mutable_train()->set_epochs(is.epochs());
    old_identity.mutable_train()->set_steps(is.steps());
  }
  if (change_numerics) {
    loop::TrainConfig& old_train = *old_identity.mutable_train();
    old_train.set_device(is.device());
    old_train.set_precision(is.precision());
    old_train.set_isa(is.isa());
    old_train.set_lanes(is.lanes());
  }
  const std::vector<std::string> fields = DifferingFields(old_identity, new_identity);
  if (fields.empty()) return;
  const bool only_numerics = std::all_of(fields.begin(), fields.end(), [](const std::string& field) {
    return field == "train.device" || field == "train.precision" || field == "train.isa" || field == "train.lanes";
  });
  if (only_numerics)
    throw Error(ErrorKind::kUsage, fmt::format("this run began with other numerics: they differ in {}", fmt::join(fields, ", ")), "--out",
                "go on all the same with --change-numerics (recorded; the bits differ from here on), or use another --out, or --fresh");
  throw Error(ErrorKind::kUsage, fmt::format("this run began with another recipe: they differ in {}", fmt::join(fields, ", ")), "--out",
              longer && !extendable
                  ? "this learning-rate schedule (or its warmup_fraction) is drawn over the whole run, so it can't be made longer; use another "
                    "--out, or --fresh"
                       : "use another --out, or --fresh to move the old run aside");
}

void KeepResolved(const std::string& path, Recipe& recipe) {
  std::optional<Recipe> before;
  try {
    before = ReadRecipe(path, {});
  } catch (const Error&) {
    return;  // a new run, or one whose damage the coordinator reports
  }
  loop::TrainConfig& train = *recipe.mutable_train();
  if (train.device() == loop::Device::AUTO) train.set_device(before->train().device());
  if (train.precision() == loop::Precision::AUTO) train.set_precision(before->train().precision());
  if (train.isa() == loop::InstructionSet::AUTO) train.set_isa(before->train().isa());
}

}  // namespace lockstep::launch
