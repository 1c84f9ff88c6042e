#include "launch/answers/measure_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "launch/answers/show_sample.h"
#include "trainer/metrics/chrf.h"
#include "trainer/metrics/edit_distance.h"

namespace lockstep::launch {
namespace {

constexpr size_t kWorst = 20, kWorstPictures = 12;
constexpr double kMost = std::numeric_limits<double>::infinity();

/// The place of the field of that name.
size_t FindField(const data::Dataset& samples, const std::string& name) {
  const std::span<const data::Field> fields = samples.fields();
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.name == name; });
  CHECK(found != fields.end(), "{}", name);
  return static_cast<size_t>(found - fields.begin());
}

/// Samples in the order of falling `badness`, as many as are shown.
std::vector<size_t> WorstOf(const data::Dataset& samples, std::vector<double> badness) {
  // Nothing is worse than no number, which would have no place in an order.
  for (double& value : badness)
    if (std::isnan(value)) value = kMost;
  std::vector<size_t> order(badness.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto count = static_cast<ptrdiff_t>(std::min(HasPictures(samples) ? kWorstPictures : kWorst, order.size()));
  std::partial_sort(order.begin(), order.begin() + count, order.end(),
                    [&](size_t a, size_t b) { return badness[a] != badness[b] ? badness[a] > badness[b] : a < b; });
  order.resize(static_cast<size_t>(count));
  return order;
}

std::vector<int32_t> LabelsOf(const data::Dataset& samples) {
  std::vector<int32_t> labels(samples.size());
  data::Sample sample;
  const size_t label = FindField(samples, "label");
  for (uint64_t id = 0; id < samples.size(); ++id) {
    labels[id] = samples.Describe(0, id).label;
    if (labels[id] >= 0) continue;
    samples.Read(0, id, sample);
    labels[id] = sample.tensors[label].As<int32_t>()[0];
  }
  return labels;
}

std::string ValuesText(std::span<const double> values) {
  std::string text;
  for (const double value : values) text += fmt::format("{}{:.6g}", text.empty() ? "" : ", ", value);
  return text;
}

}  // namespace

void MeasureClasses(const data::Dataset& samples, std::span<const float> answers, records::SplitRecord& record) {
  const size_t classes = record.classes.size();
  const std::vector<int32_t> labels = LabelsOf(samples);
  std::vector<double> losses;
  for (uint64_t id = 0; id < samples.size(); ++id) {
    const double probability = answers[id * classes + static_cast<size_t>(labels[id])];
    losses.push_back(-std::log(std::max(probability, 0x1p-52)));
  }
  record.classification = metrics::MeasureClassification(answers, labels, static_cast<int>(classes));
  record.worst_by = "loss";
  for (const size_t worst : WorstOf(samples, losses)) {
    const std::span<const float> answer = answers.subspan(worst * classes, classes);
    const auto taken = static_cast<size_t>(metrics::MostProbable(answer));
    if (static_cast<int32_t>(taken) == labels[worst]) break;  // what follows is right
    records::WorstAnswer one = ShowSample(samples, worst);
    one.expected = record.classes[static_cast<size_t>(labels[worst])];
    one.answer = record.classes[taken];
    one.probability = answer[taken];
    one.loss = losses[worst];
    record.worst.push_back(std::move(one));
  }
}

void MeasureValues(const data::Dataset& samples, std::span<const float> answers, records::SplitRecord& record) {
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
  record.worst_by = "squared error";
  for (const size_t worst : WorstOf(samples, losses)) {
    records::WorstAnswer one = ShowSample(samples, worst);
    one.expected = ValuesText(std::span(expected).subspan(worst * targets, targets));
    one.answer = ValuesText(std::span(predicted).subspan(worst * targets, targets));
    one.loss = losses[worst];
    record.worst.push_back(std::move(one));
  }
}

void MeasureTexts(const data::Dataset& samples, metrics::Task task, std::span<const std::string> answers,
                  records::SplitRecord& record) {
  const bool speech = task == metrics::Task::kSpeech;
  std::vector<double> scores, badness;
  for (uint64_t id = 0; id < samples.size(); ++id) {
    const std::string reference = samples.Reference(0, id);
    if (speech) {
      const metrics::ErrorCount letters = metrics::CharacterErrors(answers[id], reference);
      scores.push_back(static_cast<double>(letters.errors) / static_cast<double>(std::max<int64_t>(1, letters.length)));
    } else {
      scores.push_back(metrics::Chrf(metrics::CountChrf(answers[id], reference)));
    }
    // An empty translation of nothing is right, with a chrF of 0.
    badness.push_back(answers[id] == reference ? -kMost : speech ? scores.back() : -scores.back());
  }
  record.worst_by = speech ? "cer" : "chrf";
  for (const size_t worst : WorstOf(samples, badness)) {
    const std::string reference = samples.Reference(0, worst);
    if (answers[worst] == reference) break;  // what follows is right
    records::WorstAnswer one = ShowSample(samples, worst);
    one.expected = reference;
    one.answer = answers[worst];
    one.score = scores[worst];
    record.worst.push_back(std::move(one));
  }
}

}  // namespace lockstep::launch
