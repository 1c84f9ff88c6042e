#include "launch/answers/examination.h"

#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "launch/answers/answer_names.h"
#include "launch/answers/measure_answers.h"
#include "launch/answers/measure_boxes.h"
#include "launch/job/job_setup.h"

namespace lockstep::launch {
namespace {

const char* OutputOf(metrics::Task task) {
  if (task == metrics::Task::kClassification) return "logits";
  return task == metrics::Task::kRegression ? "prediction" : "";
}

/// From the bytes that a detection's scorer tells of each sample.
std::vector<std::vector<metrics::Detection>> BoxesOf(const std::vector<std::string>& told) {
  std::vector<std::vector<metrics::Detection>> boxes;
  for (const std::string& bytes : told) {
    std::vector<metrics::Detection>& of_sample = boxes.emplace_back(bytes.size() / sizeof(metrics::Detection));
    std::memcpy(of_sample.data(), bytes.data(), bytes.size());
  }
  return boxes;
}

}  // namespace

Examination::Examination(data::DataConfig data, models::DataShape shape, metrics::Task task)
    : data_(std::move(data)), shape_(std::move(shape)), task_(task), keeper_(OutputOf(task), writes() ? 0 : outputs()) {
  CHECK(IsPossible(task, shape_));
}

void Examination::Collect(comm::Communicator& comm, uint64_t samples) {
  const uint64_t here = comm.rank() == 0 ? samples : 0;
  if (writes()) {
    texts_.assign(here, "");
    keeper_.Collect(comm, [&](uint64_t sample, std::string_view text) { texts_[sample] = text; });
    return;
  }
  const infer::AnswerForm form = AnswerFormOf(data_, shape_);
  numbers_.assign(here * outputs(), 0);
  keeper_.Collect(comm, [&](uint64_t sample, std::string_view bytes) {
    const std::span<float> answer = std::span(numbers_).subspan(sample * outputs(), outputs());
    CHECK(bytes.size() == answer.size_bytes());
    std::memcpy(answer.data(), bytes.data(), bytes.size());
    form.Answer(answer, answer);
  });
}

records::SplitRecord Examination::Examine(const Split& split) const {
  records::SplitRecord record{.split = split.name, .step = split.step, .samples = split.samples.size()};
  if (task_ == metrics::Task::kDetection) {
    record.classes = ClassNamesOf(data_, shape_);
    MeasureBoxes(split.samples, BoxesOf(texts_), record);
  } else if (writes()) {
    MeasureTexts(split.samples, task_, texts_, record);
  } else if (task_ == metrics::Task::kClassification) {
    record.classes = ClassNamesOf(data_, shape_);
    MeasureClasses(split.samples, numbers_, record);
  } else {
    record.targets = TargetNamesOf(data_, shape_);
    MeasureValues(split.samples, numbers_, record);
  }
  return record;
}

}  // namespace lockstep::launch
