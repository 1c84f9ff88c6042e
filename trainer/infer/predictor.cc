#include "trainer/infer/predictor.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace lockstep::infer {
namespace {

constexpr int64_t kRows = 32;

/// The program's output.
const char* OutputOf(const AnswerForm& form) { return form.classes ? "logits" : "prediction"; }

void Softmax(std::span<const float> logits, std::span<float> probabilities) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - most);
  for (size_t i = 0; i < logits.size(); ++i) probabilities[i] = static_cast<float>(std::exp(logits[i] - most) / sum);
}

}  // namespace

void AnswerForm::Answer(std::span<const float> outputs, std::span<float> answers) const {
  if (classes) return Softmax(outputs, answers);
  for (size_t i = 0; i < outputs.size(); ++i) answers[i] = Value(outputs[i], i);
}

float AnswerForm::Value(float output, size_t target) const {
  const double scaled = deviation.empty() ? output : output * deviation[target];
  return static_cast<float>(mean.empty() ? scaled : scaled + mean[target]);
}

Predictor::Predictor(const TrainedModel& model, std::shared_ptr<const data::Transform> transform, AnswerForm form,
                     int64_t rows)
    : inputs_(std::move(transform)),
      form_(std::move(form)),
      rows_(rows),
      program_(model.graphs().build(rows, 0).graph, model.weights()),
      outputs_(program_.Output<float>(OutputOf(form_)).size() / static_cast<size_t>(rows)) {}

void Predictor::Answer(const data::Dataset& samples, uint64_t first, uint64_t count, std::span<float> answers) {
  CHECK(count <= static_cast<uint64_t>(rows_) && answers.size() == count * outputs_);
  inputs_.Fill(samples, first, count, program_);
  program_.Run();
  const std::span<const float> outputs = program_.Output<float>(OutputOf(form_));
  for (uint64_t i = 0; i < count; ++i)
    form_.Answer(outputs.subspan(i * outputs_, outputs_), answers.subspan(i * outputs_, outputs_));
}

std::vector<float> PredictAll(const TrainedModel& model, const std::shared_ptr<const data::Transform>& transform,
                              const AnswerForm& form, const data::Dataset& samples, int threads) {
  std::vector<std::unique_ptr<Predictor>> predictors;
  for (uint64_t i = 0; i < UsefulThreads(samples.size(), kRows, threads); ++i)
    predictors.push_back(std::make_unique<Predictor>(model, transform, form, kRows));
  const size_t outputs = predictors.empty() ? 0 : predictors.front()->outputs();
  std::vector<float> answers(samples.size() * outputs);
  std::vector<AnswerBlock> workers;
  for (const auto& predictor : predictors)
    workers.emplace_back([&](uint64_t first, uint64_t count) {
      predictor->Answer(samples, first, count, std::span(answers).subspan(first * outputs, count * outputs));
    });
  AnswerBlocks(samples.size(), kRows, workers);
  return answers;
}

}  // namespace lockstep::infer
