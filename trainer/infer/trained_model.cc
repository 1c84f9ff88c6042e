#include "trainer/infer/trained_model.h"

#include <utility>

#include "trainer/checkpoint/same_tensors.h"

namespace lockstep::infer {
namespace {

constexpr int64_t kAnyPositions = 4;  // parameters are the same in every shape

}  // namespace

TrainedModel::TrainedModel(ModelGraphs graphs, std::shared_ptr<engine::Backend> backend, const FillWeights& fill)
    : graphs_(std::move(graphs)),
      backend_(std::move(backend)),
      layout_(graphs_.build(1, kAnyPositions).graph),
      arena_(static_cast<size_t>(layout_.elements()) * sizeof(float)) {
  fill(layout_, arena_.As<float>());
}

TrainedModel::TrainedModel(ModelGraphs graphs, std::shared_ptr<engine::Backend> backend,
                           const checkpoint::Reader& checkpoint)
    : TrainedModel(std::move(graphs), std::move(backend),
                   [&](const engine::ParameterLayout& layout, std::span<float> arena) {
                     checkpoint::RequireSameTensors(checkpoint, layout);
                     checkpoint.Read(checkpoint.EvaluatedArray(), 0, arena);
                   }) {}

}  // namespace lockstep::infer
