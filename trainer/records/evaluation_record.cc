#include "trainer/records/evaluation_record.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "trainer/records/detection_json.h"

namespace lockstep::records {
namespace {

using metrics::ClassAverages;
using metrics::Classification;
using metrics::ClassNumbers;
using metrics::Regression;
using metrics::RegressionNumbers;

constexpr const char* kName = "evaluation.json";
constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// nlohmann writes null for NaN.
double Number(const Json& object, const char* name) { return FieldOr<double>(object, name, kUndefined); }

Json ListOr(const Json& object, const char* name) {
  if (!object.is_object()) return Json::array();
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : Json::array();
}

std::vector<std::string> NamesOf(const Json& rows) {
  std::vector<std::string> names;
  for (const Json& row : rows) names.push_back(TextOr(row, "name"));
  return names;
}

std::string NameOr(const std::vector<std::string>& names, size_t i) {
  return i < names.size() ? names[i] : std::to_string(i);
}

Json AveragesJson(const ClassAverages& mean) {
  return {{"precision", mean.precision}, {"recall", mean.recall}, {"f1", mean.f1}};
}

ClassAverages ParseAverages(const Json& object, const char* name) {
  const Json mean = object.is_object() && object.contains(name) ? object[name] : Json();
  return {Number(mean, "precision"), Number(mean, "recall"), Number(mean, "f1")};
}

/// The matrix, where it is one of so many classes.
std::optional<std::vector<int64_t>> ParseConfusion(const Json& rows, size_t classes) {
  std::vector<int64_t> cells;
  for (const Json& row : rows) {
    if (!row.is_array() || row.size() != classes) return std::nullopt;
    for (const Json& cell : row) {
      if (!JsonIs<int64_t>(cell) || cell.get<int64_t>() < 0) return std::nullopt;
      cells.push_back(cell.get<int64_t>());
    }
  }
  if (cells.size() != classes * classes) return std::nullopt;
  return cells;
}

std::optional<Classification> ParseClassification(const Json& object) {
  const Json classes = ListOr(object, "classes");
  auto confusion = ParseConfusion(ListOr(object, "confusion"), classes.size());
  if (classes.empty() || !confusion) return std::nullopt;
  Classification result;
  result.confusion = std::move(*confusion);
  for (const Json& row : classes)
    result.classes.push_back({FieldOr<int64_t>(row, "support", 0), FieldOr<int64_t>(row, "predicted", 0),
                              Number(row, "precision"), Number(row, "recall"), Number(row, "f1"), Number(row, "auc")});
  result.samples = FieldOr<int64_t>(object, "samples", 0);
  result.macro = ParseAverages(object, "macro");
  result.weighted = ParseAverages(object, "weighted");
  result.accuracy = Number(object, "accuracy");
  result.balanced_accuracy = Number(object, "balanced_accuracy");
  result.top5 = Number(object, "top5");
  result.auc = Number(object, "auc");
  result.calibration_error = Number(object, "calibration_error");
  result.log_loss = Number(object, "log_loss");
  return result;
}

RegressionNumbers ParseNumbers(const Json& row) {
  return {Number(row, "mse"), Number(row, "rmse"), Number(row, "mae"), Number(row, "r2")};
}

Json NumbersJson(const RegressionNumbers& numbers) {
  return {{"mse", numbers.mse}, {"rmse", numbers.rmse}, {"mae", numbers.mae}, {"r2", numbers.r2}};
}

std::optional<Regression> ParseRegression(const Json& object) {
  const Json targets = ListOr(object, "targets");
  if (targets.empty()) return std::nullopt;
  Regression result;
  result.samples = FieldOr<int64_t>(object, "samples", 0);
  for (const Json& row : targets) result.targets.push_back(ParseNumbers(row));
  result.mean = ParseNumbers(object.contains("mean") ? object["mean"] : Json());
  return result;
}

Json WorstJson(const WorstAnswer& worst) {
  Json object = {{"sample", worst.sample}, {"expected", worst.expected}, {"answer", worst.answer}};
  const auto add_text = [&](const char* name, const std::string& text) {
    if (!text.empty()) object[name] = text;
  };
  add_text("name", worst.name);
  add_text("text", worst.text);
  add_text("image", worst.image);
  if (worst.probability) object["probability"] = *worst.probability;
  if (worst.loss) object["loss"] = *worst.loss;
  if (worst.score) object["score"] = *worst.score;
  return object;
}

std::optional<double> NumberIfThere(const Json& object, const char* name) {
  const double number = Number(object, name);
  if (std::isnan(number)) return std::nullopt;
  return number;
}

WorstAnswer ParseWorst(const Json& object) {
  return {FieldOr<uint64_t>(object, "sample", 0),
          TextOr(object, "name"),
          TextOr(object, "text"),
          TextOr(object, "image"),
          TextOr(object, "expected"),
          TextOr(object, "answer"),
          NumberIfThere(object, "probability"),
          NumberIfThere(object, "loss"),
          NumberIfThere(object, "score")};
}

Json SplitJson(const SplitRecord& record) {
  Json object = {{"split", record.split}, {"step", record.step}, {"samples", record.samples}};
  object["metrics"] = record.metrics;
  if (record.classification) object["classification"] = ClassificationJson(*record.classification, record.classes);
  if (record.regression) object["regression"] = RegressionJson(*record.regression, record.targets);
  if (record.detection) object["detection"] = DetectionJson(*record.detection, record.classes);
  if (!record.worst_by.empty()) object["worst_by"] = record.worst_by;
  object["worst"] = Json::array();
  for (const WorstAnswer& worst : record.worst) object["worst"].push_back(WorstJson(worst));
  return object;
}

SplitRecord ParseSplit(const Json& object) {
  SplitRecord record;
  record.split = TextOr(object, "split");
  record.step = FieldOr<uint64_t>(object, "step", 0);
  record.samples = FieldOr<uint64_t>(object, "samples", 0);
  if (object.contains("metrics") && object["metrics"].is_object())
    for (const auto& [name, value] : object["metrics"].items())
      if (value.is_number()) record.metrics[name] = value.get<double>();
  if (object.contains("classification")) {
    record.classification = ParseClassification(object["classification"]);
    if (record.classification) record.classes = NamesOf(ListOr(object["classification"], "classes"));
  }
  if (object.contains("regression")) {
    record.regression = ParseRegression(object["regression"]);
    if (record.regression) record.targets = NamesOf(ListOr(object["regression"], "targets"));
  }
  if (object.contains("detection")) {
    record.detection = ParseDetection(object["detection"]);
    if (record.detection) record.classes = NamesOf(ListOr(object["detection"], "classes"));
  }
  record.worst_by = TextOr(object, "worst_by");
  for (const Json& worst : ListOr(object, "worst"))
    if (worst.is_object()) record.worst.push_back(ParseWorst(worst));
  return record;
}

}  // namespace

Json ClassificationJson(const Classification& of, const std::vector<std::string>& classes) {
  Json object = {{"samples", of.samples},
                 {"accuracy", of.accuracy},
                 {"balanced_accuracy", of.balanced_accuracy},
                 {"top5", of.top5},
                 {"auc", of.auc},
                 {"log_loss", of.log_loss},
                 {"calibration_error", of.calibration_error},
                 {"macro", AveragesJson(of.macro)},
                 {"weighted", AveragesJson(of.weighted)},
                 {"classes", Json::array()},
                 {"confusion", Json::array()}};
  for (size_t i = 0; i < of.classes.size(); ++i) {
    const ClassNumbers& numbers = of.classes[i];
    object["classes"].push_back({{"name", NameOr(classes, i)},
                                 {"support", numbers.support},
                                 {"predicted", numbers.predicted},
                                 {"precision", numbers.precision},
                                 {"recall", numbers.recall},
                                 {"f1", numbers.f1},
                                 {"auc", numbers.auc}});
    const auto row = of.confusion.begin() + static_cast<std::ptrdiff_t>(i * of.classes.size());
    object["confusion"].push_back(std::vector<int64_t>(row, row + static_cast<std::ptrdiff_t>(of.classes.size())));
  }
  return object;
}

Json RegressionJson(const Regression& of, const std::vector<std::string>& targets) {
  Json object = {{"samples", of.samples}, {"mean", NumbersJson(of.mean)}, {"targets", Json::array()}};
  for (size_t i = 0; i < of.targets.size(); ++i) {
    Json row = NumbersJson(of.targets[i]);
    row["name"] = NameOr(targets, i);
    object["targets"].push_back(std::move(row));
  }
  return object;
}

std::string FormatEvaluation(const EvaluationRecord& record) {
  Json object = {{"version", 1}, {"time", record.time}, {"splits", Json::array()}};
  for (const SplitRecord& split : record.splits) object["splits"].push_back(SplitJson(split));
  return DumpJson(object) + "\n";
}

std::optional<EvaluationRecord> ParseEvaluation(std::string_view text) {
  const Json object = ParseJsonObject(text);
  if (object.is_null()) return std::nullopt;
  EvaluationRecord record;
  record.time = FieldOr<int64_t>(object, "time", 0);
  for (const Json& split : ListOr(object, "splits"))
    if (split.is_object()) record.splits.push_back(ParseSplit(split));
  return record;
}

void WriteEvaluation(FileSystem& files, const std::string& folder, EvaluationRecord record) {
  const std::string path = folder + "/" + kName;
  const auto before = files.Exists(path) ? ParseEvaluation(ReadWholeFile(files, path)) : std::nullopt;
  if (before && !record.splits.empty())
    for (const SplitRecord& old : before->splits) {
      const bool again = std::any_of(record.splits.begin(), record.splits.end(),
                                     [&](const SplitRecord& now) { return now.split == old.split; });
      if (!again && old.step == record.splits.front().step) record.splits.push_back(old);
    }
  WriteFileAtomically(files, path, FormatEvaluation(record));
}

}  // namespace lockstep::records
