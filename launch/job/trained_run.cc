#include "launch/job/trained_run.h"

#include "base/error.h"
#include "base/files/file.h"
#include "base/machine/cpu_info.h"
#include "base/threads.h"
#include "data/audio/features.h"
#include "data/open/open_splits.h"
#include "data/open/settle_data.h"
#include "data/text/open_tokenizer.h"
#include "data/text/sentences/sentence_vocabulary.h"
#include "launch/job/init_from.h"
#include "launch/job/job_setup.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/kernels/onednn/onednn_backend.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {
namespace {

/// The least that models of sequences are built for: parameters are the same in every shape.
constexpr int64_t kAnyPositions = 4;

/// The shape of rows or images. Runs of older versions don't have it in their recipe: then the training data say it.
void OpenSampleForm(TrainedRun& run) {
  data::DataConfig& config = *run.recipe.mutable_data();
  if (!config.has_sample()) {
    const uint64_t seed = run.recipe.train().seed();
    data::SettleData(data::OpenSplits(config, seed, data::OptionsOf(config)).train, seed, config);
  }
  const data::SampleForm& form = config.sample();
  run.shape = {.input = form.input(),
               .sample = Shape(std::span<const int64_t>(form.shape().data(), static_cast<size_t>(form.shape_size()))),
               .classes = static_cast<int>(form.classes()),
               .targets = static_cast<int>(form.targets()),
               .categories = {form.categories().begin(), form.categories().end()},
               .boxes = form.boxes()};
  for (const data::NamedField& field : form.fields())
    run.shape.fields.push_back(
        {.name = field.name(),
         .shape = Shape(std::span<const int64_t>(field.shape().data(), static_cast<size_t>(field.shape_size()))),
         .dtype = field.integers() ? DType::kI32 : DType::kF32,
         .classes = static_cast<int>(field.classes()),
         .answer = field.answer()});
}

void RequireTokenizer(const TrainedRun& run) {
  if (run.tokenizer != nullptr) return;
  throw Error(ErrorKind::kUsage, "the run knows token ids alone, and no text", "data.tokenizer",
              "add data.tokenizer to the run's recipe.textproto");
}

/// Fills in the tokenizer or what is known of speech, and the shape that follows from it. Of the training data no more
/// is read than tokens or letters come from.
void OpenVocabulary(TrainedRun& run) {
  const data::DataConfig& config = run.recipe.data();
  if (config.train().has_text() || config.train().has_tokens()) {
    run.tokenizer = data::OpenTokenizer(config);
    const uint32_t vocabulary = config.train().tokens().vocabulary();
    if (vocabulary == 0) RequireTokenizer(run);
    run.shape = {.input = "tokens",
                 .sample = {config.block()},
                 .classes = vocabulary > 0 ? static_cast<int>(vocabulary) : run.tokenizer->size()};
  } else if (config.train().has_parallel()) {
    run.tokenizer = data::OpenTokenizer(config);
    run.shape = {.input = "source", .sample = {-1}, .classes = data::RequireSentenceVocabulary(run.tokenizer).size()};
  } else if (config.train().has_speech()) {
    run.speech = data::MakeSpeechOptions(config);
    const data::FeatureExtractor features(data::MakeFeatureOptions(config.speech_features()));
    run.shape = {.input = "features", .sample = {-1, features.width()}, .classes = run.speech.alphabet->classes()};
  } else {
    OpenSampleForm(run);
  }
}

infer::ModelGraphs GraphsOf(const models::ModelConfig& model, const models::DataShape& shape) {
  infer::ModelGraphs graphs;
  graphs.build = [model, shape](int64_t rows, int64_t positions) {
    return models::Build(model, shape, graph::Mode::kInfer, rows, positions);
  };
  if (shape.input == "tokens" || shape.pairs()) graphs.decoder = DecoderModelOf(model, shape);
  return graphs;
}

/// What a graph says of itself: its inputs, and how many classes it tells apart where it doesn't say that it answers
/// something else.
models::DataShape DeclaredShape(const models::ModelConfig& model) {
  models::DataShape shape = models::DataShapeOfGraph(model.graph());
  const graph::Graph graph = models::Build(model, shape, graph::Mode::kInfer, 1, kAnyPositions).graph;
  if (model.loss().has_mean_squared_error() || model.graph().loss_size() > 0 || graph.outputs.size() != 1) return shape;
  const Shape& answers = graph.value(graph.outputs.begin()->second).shape;
  if (answers.rank() == 2) shape.classes = static_cast<int>(answers.dim(1));
  return shape;
}

TrainedRun OpenImported(const std::string& path) {
  TrainedRun run;
  run.recipe = ReadRecipe(path + "/recipe.textproto", {});
  const plan::InitialWeights fill = ResolveInitFrom(run.recipe);
  if (fill == nullptr)
    throw Error(ErrorKind::kUsage, "no run has trained it, and it begins with no weights", path,
                "train it first, or say train.init_from in its recipe.textproto");
  if (run.recipe.model().has_graph() && !run.recipe.data().has_train() && !run.recipe.data().has_sample())
    run.shape = DeclaredShape(run.recipe.model());
  else
    OpenVocabulary(run);
  PrepareComputeThread(1, "");
  infer::ModelGraphs graphs = GraphsOf(run.recipe.model(), run.shape);
  const graph::Graph graph = graphs.build(1, kAnyPositions).graph;
  run.model = std::make_unique<const infer::TrainedModel>(
      std::move(graphs), MakeOneDnnBackend({1, DetectIsa()}),
      [&](const engine::ParameterLayout& layout, std::span<float> arena) { fill(graph, layout, arena.data()); });
  return run;
}

}  // namespace

TrainedRun DescribeRun(Recipe recipe) {
  TrainedRun run;
  run.recipe = std::move(recipe);
  OpenVocabulary(run);
  return run;
}

bool IsImported(const std::string& path) {
  FileSystem& files = FileSystem::Real();
  return files.Exists(path + "/recipe.textproto") && !files.Exists(path + "/checkpoints");
}

TrainedRun OpenTrainedRun(const std::string& path) {
  if (IsImported(path)) return OpenImported(path);
  const std::unique_ptr<checkpoint::Reader> reader = checkpoint::OpenPath(FileSystem::Real(), path);
  TrainedRun run = DescribeRun(ReadRecipe(records::RunFolderOf(reader->folder()) + "/recipe.textproto", {}));
  if (run.shape.input == "tokens") RequireTokenizer(run);
  PrepareComputeThread(1, "");
  run.model = std::make_unique<const infer::TrainedModel>(GraphsOf(run.recipe.model(), run.shape),
                                                          MakeOneDnnBackend({1, DetectIsa()}), *reader);
  return run;
}

infer::Transcriber MakeTranscriber(const TrainedRun& run, const infer::Transcriber::Options& options) {
  CHECK(run.Transcribes());
  return infer::Transcriber(*run.model, run.recipe.data(), run.speech, options);
}

infer::Translator MakeTranslator(const TrainedRun& run, int beam) {
  CHECK(run.Translates());
  return infer::Translator(*run.model, data::RequireSentenceVocabulary(run.tokenizer), beam);
}

infer::TextGenerator MakeTextGenerator(const TrainedRun& run) {
  CHECK(run.WritesOn());
  const uint32_t context = run.recipe.model().gpt().context();
  return infer::TextGenerator(*run.model, run.tokenizer, context > 0 ? context : run.recipe.data().block());
}

infer::AnswerForm AnswerFormOf(const TrainedRun& run) {
  CHECK(run.Predicts());
  return AnswerFormOf(run.recipe.data(), run.shape);
}

}  // namespace lockstep::launch
