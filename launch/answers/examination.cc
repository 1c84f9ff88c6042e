#include "launch/answers/examination.h"

#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "launch/answers/answer_names.h"
#include "launch/answers/measure_answers.h"
#include "launch/job/job_setup.h"

namespace lockstep::launch {
namespace {

const char* OutputOf(metrics::Task task) {
  if (task == metrics::Task::kClassification) return "logits";
  return task == metrics::Task::kRegression ? "prediction" : "";
}

}  // namespace

Examination::Examination(data::DataConfig data, models::DataShape shape, metrics::Task task)
    : data_(std::move(data)), shape_(std::move(shape)), task_(task), keeper_(OutputOf(task), writes() ? 0 : outputs()) {
  CHECK(IsPossible(task));
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
  if (writes()) {
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
