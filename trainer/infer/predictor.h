// What a trained model says of rows of tables and of images: probabilities of classes, or values.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/transform.h"
#include "trainer/infer/sample_inputs.h"
#include "trainer/infer/trained_model.h"

namespace lockstep::infer {

/// How outputs become answers.
struct AnswerForm {
  bool classes = true;  ///< outputs are logits, answers their softmax, in double precision
  /// Of regression: an answer is output * deviation + mean, the targets' own unit. Empty: 0 and 1.
  std::vector<double> mean = {}, deviation = {};

  /// The answer that the outputs for one sample stand for. `answers` may be `outputs`.
  void Answer(std::span<const float> outputs, std::span<float> answers) const;
  /// Of regression: the same of output `target` alone.
  float Value(float output, size_t target) const;
};

/// One thread at a time, which has called PrepareComputeThread.
class Predictor {
 public:
  /// Answers up to `rows` samples at once. `model` outlives this.
  Predictor(const TrainedModel& model, std::shared_ptr<const data::Transform> transform, AnswerForm form, int64_t rows);

  int64_t rows() const { return rows_; }
  size_t outputs() const { return outputs_; }
  /// Samples [first, first + count) of `samples`, without augmentation: answers [count, outputs()]. REQUIRES: count <=
  /// rows().
  void Answer(const data::Dataset& samples, uint64_t first, uint64_t count, std::span<float> answers);

 private:
  SampleInputs inputs_;
  const AnswerForm form_;
  const int64_t rows_;
  InferenceProgram program_;
  size_t outputs_ = 0;
};

/// Answers [samples, outputs] to all of `samples`, by `threads` threads: the same at any number of them.
std::vector<float> PredictAll(const TrainedModel& model, const std::shared_ptr<const data::Transform>& transform,
                              const AnswerForm& form, const data::Dataset& samples, int threads);

}  // namespace lockstep::infer
