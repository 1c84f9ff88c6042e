#include "trainer/infer/output_arrays.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/error.h"
#include "trainer/infer/inference_program.h"
#include "trainer/infer/sample_inputs.h"

namespace lockstep::infer {
namespace {

constexpr int64_t kRows = 32;

/// A program for kRows samples, and its inputs.
struct Worker {
  Worker(const TrainedModel& model, const std::shared_ptr<const data::Transform>& transform)
      : inputs(transform), program(model.graphs().build(kRows, 0).graph, model.weights()) {}

  SampleInputs inputs;
  InferenceProgram program;
};

std::vector<OutputArray> Describe(const graph::Graph& graph, int64_t samples) {
  std::vector<OutputArray> outputs;
  for (const auto& [name, id] : graph.outputs) {
    const graph::Value& value = graph.value(id);
    if (value.shape.rank() == 0 || value.shape[0] != kRows)
      throw Error(
          ErrorKind::kUsage,
          fmt::format("has not a row for each sample: its shape is {} for {} samples", value.shape.ToString(), kRows),
          fmt::format("the output \"{}\"", name), "let the model put out [n, ...]");
    OutputArray output{.name = name,
                       .shape = Shape(value.shape.dims().subspan(1)).Batched(samples),
                       .dtype = value.dtype,
                       .values = {}};
    output.values.resize(static_cast<size_t>(output.shape.size() * SizeOf(output.dtype)));
    outputs.push_back(std::move(output));
  }
  return outputs;
}

}  // namespace

std::vector<OutputArray> PredictOutputs(const TrainedModel& model,
                                        const std::shared_ptr<const data::Transform>& transform,
                                        const data::Dataset& samples, int threads) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (uint64_t i = 0; i < std::max<uint64_t>(1, UsefulThreads(samples.size(), kRows, threads)); ++i)
    workers.push_back(std::make_unique<Worker>(model, transform));
  std::vector<OutputArray> outputs = Describe(workers.front()->program.graph(), static_cast<int64_t>(samples.size()));
  std::vector<AnswerBlock> answers;
  for (const auto& worker : workers)
    answers.emplace_back([&](uint64_t first, uint64_t count) {
      worker->inputs.Fill(samples, first, count, worker->program);
      worker->program.Run();
      for (OutputArray& output : outputs) {
        const std::span<const std::byte> rows = worker->program.Output<std::byte>(output.name);
        const size_t row = rows.size() / kRows;
        std::memcpy(output.values.data() + first * row, rows.data(), count * row);
      }
    });
  AnswerBlocks(samples.size(), kRows, answers);
  return outputs;
}

}  // namespace lockstep::infer
