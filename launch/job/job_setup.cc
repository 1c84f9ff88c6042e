#include "launch/job/job_setup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/reflection.h>

#include "base/error.h"
#include "base/hash.h"
#include "data/batches/make_batches.h"
#include "data/boxes/boxed_pictures.h"
#include "data/open/make_transform.h"
#include "data/open/open_splits.h"
#include "data/open/resolve_vocabulary.h"
#include "data/open/settle_data.h"
#include "data/transform.h"
#include "launch/job/gpu.h"
#include "launch/recipe/recipe_fields.h"
#include "launch/recipe/recipe_identity.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/evaluate/scorer.h"
#include "trainer/kernels/onednn/onednn_backend.h"
#include "trainer/step/compute.h"

namespace lockstep::launch {
namespace {

Isa IsaOf(plan::InstructionSet::Value isa) {
  switch (isa) {
    case plan::InstructionSet::AMX:
      return Isa::kAmx;
    case plan::InstructionSet::AVX512:
      return Isa::kAvx512;
    case plan::InstructionSet::AVX2:
      return Isa::kAvx2;
    default:
      return Isa::kGeneric;
  }
}

/// Backends are chosen here, and nowhere else.
void SetBackend(const Recipe& recipe, std::shared_ptr<step::DeviceKit> device, step::Place& place) {
  const plan::TrainConfig& train = recipe.train();
  if (train.device() == plan::Device::GPU) {
    place.device = device ? device : OpenGpu(place.comm->topology(), train.precision() == plan::Precision::TF32);
    place.backend = place.device->backend;
    place.backend_version = place.device->version;
    place.executors = 1;
    return;
  }
  place.backend = MakeOneDnnBackend({static_cast<int>(train.lane_threads()), IsaOf(train.isa())});
  place.backend_version = "oneDNN " + OneDnnVersion();
}

/// What answers are worth beside the loss.
evaluate::ScorerFactory ScorerOf(const Recipe& recipe, const models::DataShape& shape, metrics::Task task) {
  if (task == metrics::Task::kSpeech)
    return [](std::shared_ptr<const data::Dataset> split, step::ForwardCompute&) {
      return evaluate::MakeSpeechScorer(std::move(split));
    };
  if (task == metrics::Task::kRegression && shape.targets > 0)
    return
        [form = AnswerFormOf(recipe.data(), shape)](std::shared_ptr<const data::Dataset> split, step::ForwardCompute&) {
          return evaluate::MakeRegressionScorer(std::move(split), form);
        };
  if (task == metrics::Task::kDetection)
    return [form = DetectorFormOf(recipe, shape)](std::shared_ptr<const data::Dataset> split, step::ForwardCompute&) {
      return evaluate::MakeDetectionScorer(std::move(split), form);
    };
  if (task != metrics::Task::kTranslation) return nullptr;
  evaluate::TranslationOptions options;
  options.model = DecoderModelOf(recipe.model(), shape);
  options.backend = MakeOneDnnBackend({1, IsaOf(recipe.train().isa())});
  return [options](std::shared_ptr<const data::Dataset> split, step::ForwardCompute& compute) mutable {
    options.dataset = std::move(split);
    options.executors = compute.executors().size();
    options.layout = &compute.plans().layout;
    options.compute = &compute;
    return evaluate::MakeTranslationScorer(options);
  };
}

metrics::Task TaskOf(const models::DataShape& shape) {
  if (shape.input == "tokens") return metrics::Task::kLanguageModel;
  if (shape.speech()) return metrics::Task::kSpeech;
  if (shape.pairs()) return metrics::Task::kTranslation;
  if (shape.boxes) return metrics::Task::kDetection;
  return shape.classes > 0 ? metrics::Task::kClassification : metrics::Task::kRegression;
}

}  // namespace

infer::DecoderModel DecoderModelOf(const models::ModelConfig& model, const models::DataShape& shape) {
  infer::DecoderModel decoder;
  decoder.build_step = [model, shape](const graph::StepShape& step) { return models::BuildStep(model, shape, step); };
  if (model.has_seq2seq())
    decoder.build_encoding = [model, shape](int64_t rows, int64_t positions) {
      return models::BuildEncoding(model, shape, rows, positions);
    };
  return decoder;
}

models::DataShape DataShapeOf(const plan::Splits& splits) {
  const std::span<const data::Field> fields = splits.transform->fields();
  models::DataShape shape{.input = fields.front().name, .sample = fields.front().shape};
  for (const data::Field& field : fields) {
    if (field.name == "label") shape.classes = splits.train->classes();
    if (field.name == "target") shape.targets = static_cast<int>(field.shape.dim(0));
    if (field.name == "weight") shape.rows = graph::RowTargets::kWeighted;
    if (field.name == "other_label") shape.rows = graph::RowTargets::kMixed;
    if (field.name == "categories") shape.categories = data::CategoriesOf(*splits.train);
    if (field.name == "inside") {
      shape.boxes = true;
      shape.classes = splits.train->classes();
    }
    if (field.use != data::Field::Use::kFormats)
      shape.fields.push_back({field.name, field.shape, field.dtype, field.classes,
                              /*answer=*/field.use == data::Field::Use::kAnswer});
  }
  return shape;
}

infer::DetectorForm DetectorFormOf(const Recipe& recipe, const models::DataShape& shape) {
  const data::PictureFit fit(recipe.data().pictures(), nullptr);
  const models::Detector& detector = recipe.model().detector();
  if (detector.has_fcos()) return infer::FcosForm(fit, shape.classes);
  return infer::CenterForm(fit, models::DetectorStride(detector), shape.classes);
}

infer::AnswerForm AnswerFormOf(const data::DataConfig& data, const models::DataShape& shape) {
  const data::Normalize& normalize = data.normalize();
  infer::AnswerForm form{.classes = shape.classes > 0};
  const auto targets = static_cast<size_t>(shape.targets);
  for (size_t i = 0; i < targets && normalize.target_mean_size() > 0; ++i)
    form.mean.push_back(normalize.target_mean(normalize.target_mean_size() == 1 ? 0 : static_cast<int>(i)));
  for (size_t i = 0; i < targets && normalize.target_deviation_size() > 0; ++i)
    form.deviation.push_back(
        normalize.target_deviation(normalize.target_deviation_size() == 1 ? 0 : static_cast<int>(i)));
  return form;
}

namespace {

data::BatchOptions BatchOptionsOf(const plan::TrainConfig& train) {
  return {.seed = train.seed(),
          .lanes = static_cast<int>(train.lanes()),
          .global_batch = train.global_batch(),
          .batch_tokens = train.batch_tokens()};
}

/// "a.csv", "a.bin, b.bin and 7 more files": the files that a source is read from.
std::string FilesOf(data::Source source) {
  constexpr size_t kNamed = 2;
  std::vector<std::string> files;
  VisitFields(
      source, "",
      [&](google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field, const std::string&) {
        if (!IsPath(field)) return;
        const google::protobuf::Reflection& fields = *message.GetReflection();
        if (!field.is_repeated()) return files.push_back(fields.GetString(message, &field));
        for (const std::string& file : fields.GetRepeatedFieldRef<std::string>(message, &field)) files.push_back(file);
      });
  if (files.empty()) return "data.train";
  const size_t others = files.size() > kNamed ? files.size() - kNamed : 0;
  files.resize(files.size() - others);
  return fmt::format("{}{}", fmt::join(files, ", "), others > 0 ? fmt::format(" and {} more files", others) : "");
}

/// Rows are mixed with others of their lane.
void RequireRowsToMix(const data::Augment& augment, const plan::TrainConfig& train) {
  if ((!augment.has_mixup() && !augment.has_cutmix()) || train.global_batch() >= 2 * uint64_t{train.lanes()}) return;
  throw Error(ErrorKind::kUsage,
              fmt::format("a lane has one sample (global_batch {} / lanes {}), and no other one to mix it with",
                          train.global_batch(), train.lanes()),
              augment.has_mixup() ? "data.augment.mixup" : "data.augment.cutmix",
              "set train.lanes lower, or train.global_batch higher");
}

/// The splits that the recipe names, checked to fit each other. Throws Error(kData).
/// Writes into the recipe what the data decide of it.
plan::Splits OpenSplits(Recipe& recipe, std::shared_ptr<const data::Tokenizer> tokenizer) {
  data::DataConfig& config = *recipe.mutable_data();
  const uint64_t seed = recipe.train().seed();
  plan::Splits splits;
  if (recipe.model().has_detector()) {
    const bool fcos = recipe.model().detector().has_fcos();
    config.mutable_cells()->set_kind(fcos ? data::Cells::Kind::FCOS : data::Cells::Kind::CENTERS);
    config.mutable_cells()->set_stride(models::DetectorStride(recipe.model().detector()));
  }
  data::OpenOptions options = data::OptionsOf(config);
  options.tokenizer = std::move(tokenizer);
  splits.train_files = FilesOf(config.train());
  data::OpenedSplits opened = data::OpenSplits(config, seed, options);
  splits.train = std::move(opened.train);
  splits.validation = std::move(opened.validation);
  splits.test = std::move(opened.test);
  data::SettleData(splits.train, seed, config);
  splits.transform = data::MakeTransform(splits.train->fields(), config, seed);
  const std::shared_ptr<const data::Dataset> taught = data::WithMosaics(splits.train, config.augment().mosaic(), seed);
  splits.make_batches = [train = taught, transform = splits.transform,
                         options = BatchOptionsOf(recipe.train())](const data::Leg& leg) mutable {
    options.leg = leg;
    return std::shared_ptr<const data::Batches>(data::MakeBatches(train, transform, options));
  };
  splits.batches = splits.make_batches({});
  if (recipe.train().global_batch() > splits.train->size())
    throw Error(
        ErrorKind::kUsage,
        fmt::format("{} is more than the {} training samples", recipe.train().global_batch(), splits.train->size()),
        "train.global_batch", "lower it, or give more data");
  RequireRowsToMix(config.augment(), recipe.train());
  plan::LimitEvaluations(recipe.evaluate(), seed, splits);
  splits.train = taught;
  splits.length = plan::LengthOf(recipe.train(), *splits.batches);
  if (recipe.train().device() == plan::Device::GPU) plan::DeliverBytes(splits);
  return splits;
}

}  // namespace

run::Job MakeJob(const Recipe& given, comm::Communicator& comm, std::shared_ptr<step::DeviceKit> device) {
  Recipe recipe = given;
  std::shared_ptr<const data::Tokenizer> tokenizer = data::ResolveVocabulary(*recipe.mutable_data());
  run::Job job;
  job.config.name = recipe.name();
  job.config.train = recipe.train();
  job.config.optimizer = recipe.optimizer();
  job.config.checkpoint = recipe.checkpoint();
  job.config.watchdog = recipe.watchdog();
  job.config.metrics = recipe.metrics();
  job.config.profile = recipe.profile();
  job.place.comm = &comm;
  job.splits = OpenSplits(recipe, std::move(tokenizer));
  job.config.data = recipe.data();

  const models::DataShape shape = DataShapeOf(job.splits);
  job.model.task = TaskOf(shape);
  models::Validate(recipe.model(), shape);
  job.model.build = [model = recipe.model(), shape](graph::Mode mode, const data::BatchShape& batch) {
    return models::Build(model, shape, mode, batch.rows, batch.length);
  };
  job.make_scorer = ScorerOf(recipe, shape, job.model.task);
  SetBackend(recipe, std::move(device), job.place);

  job.config.identity = IdentityOfRun(recipe);
  return job;
}

}  // namespace lockstep::launch
