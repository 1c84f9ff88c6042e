#include "launch/job/trained_run.h"

#include "base/error.h"
#include "base/file.h"
#include "base/threads.h"
#include "data/audio/features.h"
#include "data/open_dataset.h"
#include "data/text/sentence_vocabulary.h"
#include "trainer/checkpoint/same_tensors.h"
#include "trainer/kernels/onednn/onednn_backend.h"
#include "trainer/records/run_folder_reader.h"

namespace lockstep::launch {

TrainedRun::TrainedRun(const std::string& path) {
  const std::unique_ptr<checkpoint::Reader> reader = checkpoint::OpenPath(FileSystem::Real(), path);
  recipe_ = ReadRecipe(records::RunFolderOf(reader->folder()) + "/recipe.textproto", {});
  shape_ = ShapeOf();
  constexpr int64_t kAnyPlaces = 4;  // parameters are the same in every shape
  layout_ = std::make_unique<engine::ParameterLayout>(
      models::Build(recipe_.model(), shape_, graph::Mode::kInfer, 1, kAnyPlaces).graph);
  checkpoint::RequireSameTensors(*reader, *layout_);
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
