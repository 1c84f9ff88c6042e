#include "trainer/infer/predictor.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/first_error.h"
#include "base/threads.h"

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
    : transform_(std::move(transform)),
      form_(std::move(form)),
      rows_(rows),
      program_(model.graphs().build(rows, 0).graph, model.weights()),
      outputs_(program_.Output<float>(OutputOf(form_)).size() / static_cast<size_t>(rows)) {
  for (const data::Field& field : transform_->fields())
    unused_.emplace_back(static_cast<size_t>(field.shape.size() * SizeOf(field.dtype)));
}

void Predictor::Answer(const data::Dataset& samples, uint64_t first, uint64_t count, std::span<float> answers) {
  CHECK(count <= static_cast<uint64_t>(rows_) && answers.size() == count * outputs_);
  std::vector<std::byte*> pointers(unused_.size());
  for (uint64_t i = 0; i < count; ++i) {
    for (size_t field = 0; field < unused_.size(); ++field) {
      const std::span<std::byte> input = program_.Input<std::byte>(transform_->fields()[field].name);
      pointers[field] = input.empty() ? unused_[field].data() : input.data() + i * unused_[field].size();
    }
    samples.Read(0, first + i, sample_);
    transform_->Apply(sample_, 0, first + i, /*augment=*/false, 0, pointers);
  }
  program_.Run();
  const std::span<const float> outputs = program_.Output<float>(OutputOf(form_));
  for (uint64_t i = 0; i < count; ++i)
    form_.Answer(outputs.subspan(i * outputs_, outputs_), answers.subspan(i * outputs_, outputs_));
}

std::vector<float> PredictAll(const TrainedModel& model, const std::shared_ptr<const data::Transform>& transform,
                              const AnswerForm& form, const data::Dataset& samples, int threads) {
  const uint64_t blocks = (samples.size() + kRows - 1) / kRows;
  std::vector<std::unique_ptr<Predictor>> predictors;
  for (uint64_t i = 0; i < std::min<uint64_t>(static_cast<uint64_t>(threads), blocks); ++i)
    predictors.push_back(std::make_unique<Predictor>(model, transform, form, kRows));
  const size_t outputs = predictors.empty() ? 0 : predictors.front()->outputs();
  std::vector<float> answers(samples.size() * outputs);
  std::atomic<uint64_t> next = 0;
  FirstError error;
  const auto work = [&](Predictor& predictor) {
    try {
      for (uint64_t block; (block = next++) < blocks;) {
        const uint64_t first = block * kRows, count = std::min<uint64_t>(kRows, samples.size() - first);
        predictor.Answer(samples, first, count, std::span(answers).subspan(first * outputs, count * outputs));
      }
    } catch (...) {
      error.Keep();
      next = blocks;
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < predictors.size(); ++i)
    others.push_back(StartThread("predict", [&, i] {
      PrepareComputeThread(1, "");
      work(*predictors[i]);
    }));
  if (!predictors.empty()) work(*predictors.front());
  for (std::thread& other : others) other.join();
  error.Rethrow();
  return answers;
}

}  // namespace lockstep::infer
