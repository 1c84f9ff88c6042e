// Small models with random weights: as a whole, the way they are trained, and token by token.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/philox.h"
#include "tests/trainer/models/model_world.h"
#include "trainer/infer/decoder.h"
#include "trainer/infer/inference_program.h"
#include "trainer/infer/trained_model.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep::infer {

using Tokens = std::vector<int32_t>;

inline constexpr int kVocabulary = 11;

class SmallModel {
 public:
  /// A gpt trained on samples of `block` tokens; -1: a translator.
  explicit SmallModel(const std::string& model, int64_t block = -1, int vocabulary = kVocabulary, uint64_t seed = 1)
      : SmallModel(models::Parse(model),
                   {.input = block < 0 ? "source" : "tokens", .sample = {block}, .classes = vocabulary}, seed) {}

  /// Speech of `channels` values a time step.
  static SmallModel OfSpeech(const std::string& model, int64_t channels, int classes) {
    return SmallModel(models::Parse(model), {.input = "features", .sample = {-1, channels}, .classes = classes}, 1);
  }

  /// The same model as commands and servers have it.
  std::unique_ptr<const TrainedModel> Trained() const {
    ModelGraphs graphs;
    graphs.build = [model = config_, data = data_](int64_t rows, int64_t positions) {
      return models::Build(model, data, graph::Mode::kInfer, rows, positions);
    };
    if (!data_.speech()) graphs.decoder = decoder_model();
    return std::make_unique<const TrainedModel>(graphs, backend_,
                                                [this](const engine::ParameterLayout&, std::span<float> arena) {
                                                  std::ranges::copy(arena_.As<float>(), arena.begin());
                                                });
  }

  Weights weights() const { return {layout_, *backend_, arena_.As<float>().data()}; }
  void Draw(uint64_t seed) {
    for (const engine::ArenaEntry& entry : layout_.entries()) {
      const RandomStream stream{seed, 0, 1, static_cast<uint64_t>(entry.offset)};
      uint32_t element = 0;
      for (float& value : Parameter(entry.name)) value = stream.Uniform(element++) - 0.5f;
    }
  }

  std::span<float> Parameter(const std::string& name) {
    const engine::ArenaEntry* entry = layout_.Find(name);
    CHECK(entry != nullptr, "{}", name);
    return arena_.As<float>().subspan(static_cast<size_t>(entry->offset), static_cast<size_t>(entry->size()));
  }

  DecoderModel decoder_model() const {
    DecoderModel decoder;
    decoder.build_step = [this](const graph::StepShape& shape) { return models::BuildStep(config_, data_, shape); };
    if (data_.pairs())
      decoder.build_encoding = [this](int64_t rows, int64_t places) {
        return models::BuildEncoding(config_, data_, rows, places);
      };
    return decoder;
  }
  Decoder MakeDecoder(const Decoder::Options& options) const { return Decoder(decoder_model(), weights(), options); }

  /// The logits [rows, places, vocabulary] of the graph that evaluations run, with as many places as samples have, of
  /// pairs as the longest has.
  std::vector<float> Whole(const std::vector<Tokens>& rows, const std::vector<Tokens>& sources = {}) const {
    size_t places = data_.pairs() ? 0 : static_cast<size_t>(data_.sample.dim(0));
    for (const auto* sentences : {&rows, &sources})
      for (const Tokens& sentence : *sentences) places = std::max(places, sentence.size());
    const auto count = static_cast<int64_t>(rows.size());
    InferenceProgram program(
        models::Build(config_, data_, graph::Mode::kEvaluate, count, static_cast<int64_t>(places)).graph, weights());
    Fill(program, "tokens", rows, places);
    Fill(program, "source", sources, places);
    for (size_t i = 0; i < sources.size(); ++i)
      program.Input<int32_t>("source_length")[i] = static_cast<int32_t>(sources[i].size());
    program.Run();
    const std::span<const float> logits = program.Output<float>("logits");
    return {logits.begin(), logits.end()};
  }

 private:
  SmallModel(const models::ModelConfig& config, const models::DataShape& data, uint64_t seed)
      : config_(config),
        data_(data),
        layout_(models::Build(config_, data_, graph::Mode::kTrain, 1, 4).graph),
        backend_(MakeOneDnnBackend({})),
        arena_(static_cast<size_t>(layout_.elements()) * sizeof(float)) {
    Draw(seed);
  }

  static void Fill(InferenceProgram& program, const std::string& input, const std::vector<Tokens>& rows,
                   size_t places) {
    for (size_t i = 0; i < rows.size(); ++i)
      std::ranges::copy(rows[i], program.Input<int32_t>(input).subspan(i * places).begin());
  }

  const models::ModelConfig config_;
  const models::DataShape data_;
  const engine::ParameterLayout layout_;
  std::shared_ptr<engine::Backend> backend_;
  Buffer arena_;
};

/// Sources side by side, as a decoder takes them.
struct Sources {
  Tokens tokens, lengths;

  Sources(const std::vector<Tokens>& sentences, size_t places) : tokens(sentences.size() * places) {
    for (size_t i = 0; i < sentences.size(); ++i) {
      std::ranges::copy(sentences[i], tokens.begin() + static_cast<std::ptrdiff_t>(i * places));
      lengths.push_back(static_cast<int32_t>(sentences[i].size()));
    }
  }
};

}  // namespace lockstep::infer
