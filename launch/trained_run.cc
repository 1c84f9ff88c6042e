#include "launch/trained_run.h"

#include <fmt/format.h>

#include <iterator>

#include "base/error.h"
#include "base/file.h"
#include "base/threads.h"
#include "data/audio/features.h"
#include "data/open_dataset.h"
#include "data/text/sentence_vocabulary.h"
#include "launch/run_files.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep::launch {
namespace {

/// An alphabet with a letter more may fit into the padding of the same arena, and all letters behind it be others.
void RequireSameTensors(const checkpoint::Reader& reader, const engine::ParameterLayout& layout) {
  const checkpoint::Manifest& manifest = reader.manifest();
  const auto other = [&](const std::string& what) {
    return Error(ErrorKind::kCheckpoint, "it holds another model than its recipe's: " + what, reader.folder(),
                 "has the text or vocabulary changed that the run was trained with? Put it back as it was");
  };
  for (const checkpoint::Tensor& tensor : manifest.tensors()) {
    const Shape shape = checkpoint::ShapeOf(tensor);
    const engine::ArenaEntry* entry = layout.Find(tensor.name());
    if (entry == nullptr) throw other(fmt::format("the recipe's has no {}", tensor.name()));
    if (entry->shape != shape || entry->offset != tensor.offset())
      throw other(fmt::format("{} is {}, not {}", tensor.name(), shape.ToString(), entry->shape.ToString()));
  }
  if (manifest.arena_elements() != layout.elements() || manifest.tensors().size() != std::ssize(layout.entries()))
    throw other("it has other tensors");
}

}  // namespace

TrainedRun::TrainedRun(const std::string& path) {
  const std::unique_ptr<checkpoint::Reader> reader = checkpoint::OpenPath(FileSystem::Real(), path);
  recipe_ = ReadRecipe(RunFolderOf(reader->folder()) + "/recipe.textproto", {});
  shape_ = ShapeOf();
  constexpr int64_t kAnyPlaces = 4;  // parameters are the same in every shape
  layout_ = std::make_unique<engine::ParameterLayout>(
      models::Build(recipe_.model(), shape_, graph::Mode::kInfer, 1, kAnyPlaces).graph);
  RequireSameTensors(*reader, *layout_);
  PrepareComputeThread(1, "");
  backend_ = MakeOneDnnBackend({1, DetectIsa()});
  arena_ = Buffer(static_cast<size_t>(layout_->elements()) * sizeof(float));
  reader->Read(reader->EvaluatedArray(), 0, arena_.As<float>());
}

models::DataShape TrainedRun::ShapeOf() {
  const data::DataConfig& config = recipe_.data();
  if (config.train().has_text() || config.train().has_tokens()) {
    tokenizer_ = data::OpenTokenizer(config);
    if (tokenizer_ == nullptr)
      throw Error(ErrorKind::kUsage, "the run knows token ids alone, and no text", "data.tokenizer",
                  "add data.tokenizer to the run's recipe.textproto");
    const uint32_t vocabulary = config.train().tokens().vocabulary();
    return {.input = "tokens",
            .sample = {config.block()},
            .classes = vocabulary > 0 ? static_cast<int>(vocabulary) : tokenizer_->size()};
  }
  if (config.train().has_parallel()) {
    tokenizer_ = data::OpenTokenizer(config);
    return {.input = "source", .sample = {-1}, .classes = data::OpenSentenceVocabulary(config).size()};
  }
  if (config.train().has_speech()) {
    speech_ = data::MakeSpeechOptions(config);
    const data::FeatureExtractor features(data::MakeFeatureOptions(config.speech_features()));
    return {.input = "features", .sample = {-1, features.width()}, .classes = speech_.alphabet->classes()};
  }
  throw Error(ErrorKind::kUsage, "the run neither writes text nor transcribes speech", recipe_.name(),
              "evaluate it with lockstep eval");
}

}  // namespace lockstep::launch
