#include "launch/answers/examine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

#include "base/error.h"

namespace lockstep::launch {
namespace {

constexpr size_t kWorst = 20;

/// The place of the field of that name.
size_t FindField(const data::Dataset& samples, const std::string& name) {
  const std::span<const data::Field> fields = samples.fields();
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.name == name; });
  CHECK(found != fields.end(), "{}", name);
  return static_cast<size_t>(found - fields.begin());
}

/// Samples in the order of falling `losses`, the first kWorst.
std::vector<size_t> WorstOf(std::span<const double> losses) {
  std::vector<size_t> order(losses.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto count = static_cast<ptrdiff_t>(std::min(kWorst, order.size()));
  std::partial_sort(order.begin(), order.begin() + count, order.end(),
                    [&](size_t a, size_t b) { return losses[a] != losses[b] ? losses[a] > losses[b] : a < b; });
  order.resize(static_cast<size_t>(count));
  return order;
}

records::WorstAnswer Begin(const data::Dataset& samples, size_t sample) {
  const data::SampleText text = samples.Describe(0, sample);
  return {.sample = sample, .name = text.name.empty() ? text.line : text.name};
}

void MeasureClasses(const TrainedRun& run, const data::Dataset& samples, std::span<const float> answers,
                    records::SplitRecord& record) {
  record.classes = ClassNamesOf(run);
  const size_t classes = record.classes.size();
  std::vector<int32_t> labels(samples.size());
  data::Sample sample;
  const size_t label = FindField(samples, "label");
  std::vector<double> losses;
  for (uint64_t id = 0; id < samples.size(); ++id) {
    labels[id] = samples.Describe(0, id).label;
    if (labels[id] < 0) {
      samples.Read(0, id, sample);
      labels[id] = sample.tensors[label].As<int32_t>()[0];
    }
    const double probability = answers[id * classes + static_cast<size_t>(labels[id])];
    losses.push_back(-std::log(std::max(probability, 0x1p-52)));
  }
  record.classification = metrics::MeasureClassification(answers, labels, static_cast<int>(classes));
  for (const size_t worst : WorstOf(losses)) {
    const std::span<const float> answer = answers.subspan(worst * classes, classes);
    const auto taken = static_cast<size_t>(metrics::MostProbable(answer));
    if (static_cast<int32_t>(taken) == labels[worst]) break;  // what follows is right
    records::WorstAnswer one = Begin(samples, worst);
    one.expected = record.classes[static_cast<size_t>(labels[worst])];
    one.answer = record.classes[taken];
    one.probability = answer[taken];
    one.loss = losses[worst];
    record.worst.push_back(std::move(one));
  }
}

std::string ValuesText(std::span<const double> values) {
  std::string text;
  for (const double value : values) text += fmt::format("{}{:.6g}", text.empty() ? "" : ", ", value);
  return text;
}

void MeasureValues(const TrainedRun& run, const data::Dataset& samples, std::span<const float> answers,
                   records::SplitRecord& record) {
  record.targets = TargetNamesOf(run);
  const size_t targets = record.targets.size();
  const std::vector<double> predicted(answers.begin(), answers.end());
  std::vector<double> expected, losses;
  const size_t target = FindField(samples, "target");
  data::Sample sample;
  for (uint64_t id = 0; id < samples.size(); ++id) {
    samples.Read(0, id, sample);
    double loss = 0;
    for (size_t i = 0; i < targets; ++i) {
      expected.push_back(sample.tensors[target].As<float>()[i]);
      loss += std::pow(predicted[id * targets + i] - expected.back(), 2) / static_cast<double>(targets);
    }
    losses.push_back(loss);
  }
  record.regression = metrics::MeasureRegression(predicted, expected, static_cast<int>(targets));
  for (const size_t worst : WorstOf(losses)) {
    records::WorstAnswer one = Begin(samples, worst);
    one.expected = ValuesText(std::span(expected).subspan(worst * targets, targets));
    one.answer = ValuesText(std::span(predicted).subspan(worst * targets, targets));
    one.loss = losses[worst];
    record.worst.push_back(std::move(one));
  }
}

}  // namespace

std::vector<std::string> ClassNamesOf(const TrainedRun& run) {
  std::vector<std::string> names(run.recipe.data().class_names().begin(), run.recipe.data().class_names().end());
  for (int i = static_cast<int>(names.size()); i < run.shape.classes; ++i) names.push_back(std::to_string(i));
  return names;
}

std::vector<std::string> TargetNamesOf(const TrainedRun& run) {
  const auto& targets = run.recipe.data().train().csv().targets();
  std::vector<std::string> names(targets.begin(), targets.end());
  for (int i = static_cast<int>(names.size()); i < run.shape.targets; ++i)
    names.push_back(run.shape.targets == 1 ? "prediction" : fmt::format("prediction {}", i));
  return names;
}

records::SplitRecord Examine(const TrainedRun& run, const data::Dataset& samples,
                             const std::shared_ptr<const data::Transform>& transform, const ExamineOptions& options) {
  records::SplitRecord record{.split = options.split, .step = options.step, .samples = samples.size()};
  const std::vector<float> answers =
      infer::PredictAll(*run.model, transform, AnswerFormOf(run), samples, options.threads);
  if (run.shape.classes > 0) {
    MeasureClasses(run, samples, answers, record);
  } else {
    MeasureValues(run, samples, answers, record);
  }
  return record;
}

}  // namespace lockstep::launch
