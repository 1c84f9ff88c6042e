// A trained model as it answers: its weights in memory, and how its graphs are built. What transcribes, translates and
// writes on (transcriber.h, translator.h, text_generator.h) is made over one, several over the same where several
// threads answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/memory.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/engine/backend.h"
#include "trainer/engine/parameter_layout.h"
#include "trainer/infer/decoder.h"
#include "trainer/infer/inference_program.h"

namespace lockstep::infer {

/// How a model's graphs are built: models::Build, BuildStep and BuildEncoding, with its configuration and the data's
/// shape filled in.
struct ModelGraphs {
  /// For inference, of `rows` samples; `positions` along dimensions that vary.
  std::function<graph::Model(int64_t rows, int64_t positions)> build;
  DecoderModel decoder;  ///< empty functions where the model writes nothing token by token
};

/// Does not change once it is made: any number of threads may use it.
class TrainedModel {
 public:
  /// Fills the weights (the whole arena, in the layout's order).
  using FillWeights = std::function<void(const engine::ParameterLayout& layout, std::span<float> arena)>;

  TrainedModel(ModelGraphs graphs, std::shared_ptr<engine::Backend> backend, const FillWeights& fill);
  /// With the checkpoint's weights: those that evaluations use. Throws Error(kCheckpoint) where it is damaged or holds
  /// another model's.
  TrainedModel(ModelGraphs graphs, std::shared_ptr<engine::Backend> backend, const checkpoint::Reader& checkpoint);

  const ModelGraphs& graphs() const { return graphs_; }
  /// Valid as long as this.
  Weights weights() const { return {layout_, *backend_, arena_.As<float>().data()}; }

 private:
  const ModelGraphs graphs_;
  const std::shared_ptr<engine::Backend> backend_;
  const engine::ParameterLayout layout_;
  Buffer arena_;
};

}  // namespace lockstep::infer
