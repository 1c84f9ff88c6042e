#include "trainer/metrics/metric_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "trainer/metrics/edit_distance.h"

namespace lockstep::metrics {
namespace {

constexpr size_t kLongestName = 28, kMostInMatrix = 12, kMostRows = 50, kWorstRows = 20, kMostConfusions = 10,
                 kMostDetectionRows = 100;

using Row = std::vector<std::string>;

size_t WidthOf(const std::string& cell) { return CharactersOf(cell).size(); }

/// Columns two blanks apart, the first to the left, the others to the right.
std::string Align(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - WidthOf(row[i]), ' ');
      text += i == 0 ? row[i] + blanks : "  " + blanks + row[i];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  return text;
}

std::string NameOf(size_t i, std::span<const std::string> names) {
  if (i >= names.size()) return std::to_string(i);
  const std::vector<std::string_view> characters = CharactersOf(names[i]);
  if (characters.size() <= kLongestName) return names[i];
  const auto end = characters[kLongestName - 3].data();
  return names[i].substr(0, static_cast<size_t>(end - names[i].data())) + "...";
}

std::string Share(double value) { return std::isnan(value) ? "-" : fmt::format("{:.4f}", value); }
std::string Amount(double value) { return std::isnan(value) ? "-" : fmt::format("{:.6g}", value); }

/// All classes in order; of too many, those with the lowest F1 first.
std::vector<size_t> ClassesToShow(const Classification& of) {
  std::vector<size_t> classes(of.classes.size());
  std::iota(classes.begin(), classes.end(), size_t{0});
  if (classes.size() <= kMostRows) return classes;
  std::erase_if(classes, [&](size_t i) { return std::isnan(of.classes[i].f1); });
  std::stable_sort(classes.begin(), classes.end(),
                   [&](size_t a, size_t b) { return of.classes[a].f1 < of.classes[b].f1; });
  classes.resize(std::min(classes.size(), kWorstRows));
  return classes;
}

std::string ClassTable(const Classification& of, std::span<const std::string> names) {
  std::vector<Row> rows = {{"class", "precision", "recall", "F1", "AUC", "samples"}};
  for (const size_t i : ClassesToShow(of)) {
    const ClassNumbers& numbers = of.classes[i];
    rows.push_back({NameOf(i, names), Share(numbers.precision), Share(numbers.recall), Share(numbers.f1),
                    Share(numbers.auc), std::to_string(numbers.support)});
  }
  const auto add = [&](const char* name, const ClassAverages& mean, double auc) {
    rows.push_back(
        {name, Share(mean.precision), Share(mean.recall), Share(mean.f1), Share(auc), std::to_string(of.samples)});
  };
  add("mean of classes", of.macro, of.auc);
  add("mean by samples", of.weighted, std::nan(""));
  std::string text = Align(rows);
  if (of.classes.size() > kMostRows)
    text += fmt::format("(of {} classes the {} with the lowest F1)\n", of.classes.size(), kWorstRows);
  return text;
}

std::string Totals(const Classification& of) {
  std::string text = fmt::format("accuracy {}  balanced accuracy {}", Share(of.accuracy), Share(of.balanced_accuracy));
  if (of.classes.size() > 5 && !std::isnan(of.top5)) text += "  top-5 accuracy " + Share(of.top5);
  if (!std::isnan(of.log_loss)) text += "  log loss " + Share(of.log_loss);
  if (!std::isnan(of.calibration_error)) text += "  calibration error (ECE) " + Share(of.calibration_error);
  return text + "\n";
}

std::string Matrix(const Classification& of, std::span<const std::string> names) {
  const size_t classes = of.classes.size();
  std::vector<Row> rows = {{"is \\ taken for"}};
  for (size_t i = 0; i < classes; ++i) rows[0].push_back(NameOf(i, names));
  for (size_t i = 0; i < classes; ++i) {
    Row row = {NameOf(i, names)};
    for (size_t j = 0; j < classes; ++j) row.push_back(std::to_string(of.confusion[i * classes + j]));
    rows.push_back(std::move(row));
  }
  return Align(rows);
}

std::string MostFrequentConfusions(const Classification& of, std::span<const std::string> names) {
  const size_t classes = of.classes.size();
  std::vector<size_t> cells;
  for (size_t i = 0; i < of.confusion.size(); ++i)
    if (i / classes != i % classes && of.confusion[i] > 0) cells.push_back(i);
  std::stable_sort(cells.begin(), cells.end(), [&](size_t a, size_t b) { return of.confusion[a] > of.confusion[b]; });
  cells.resize(std::min(cells.size(), kMostConfusions));
  std::vector<Row> rows = {{"is", "taken for", "samples"}};
  for (const size_t i : cells)
    rows.push_back({NameOf(i / classes, names), NameOf(i % classes, names), std::to_string(of.confusion[i])});
  return cells.empty() ? "" : Align(rows);
}

}  // namespace

std::string FormatTable(const Classification& classification, std::span<const std::string> names) {
  const std::string confusions = classification.classes.size() <= kMostInMatrix
                                     ? Matrix(classification, names)
                                     : MostFrequentConfusions(classification, names);
  return ClassTable(classification, names) + "\n" + Totals(classification) + (confusions.empty() ? "" : "\n") +
         confusions;
}

std::string FormatTable(const Regression& regression, std::span<const std::string> names) {
  std::vector<Row> rows = {{"target", "R2", "MAE", "RMSE", "MSE"}};
  const auto add = [&](const std::string& name, const RegressionNumbers& numbers) {
    rows.push_back({name, Share(numbers.r2), Amount(numbers.mae), Amount(numbers.rmse), Amount(numbers.mse)});
  };
  for (size_t i = 0; i < regression.targets.size(); ++i) add(NameOf(i, names), regression.targets[i]);
  if (regression.targets.size() > 1) add("mean", regression.mean);
  return Align(rows);
}

std::string FormatTable(const DetectionMeasures& of, std::span<const std::string> names) {
  const auto share = [](double value) { return Share(value < 0 ? std::numeric_limits<double>::quiet_NaN() : value); };
  const CocoSummary& coco = of.summary;
  std::string text = Align({{"COCO", "IoU 0.5:0.95", "0.5", "0.75", "small", "medium", "large"},
                            {"AP", share(coco.ap), share(coco.ap50), share(coco.ap75), share(coco.ap_small),
                             share(coco.ap_medium), share(coco.ap_large)}});
  text += "\n" + Align({{"average recall", "of 1", "of 10", "of 100", "small", "medium", "large"},
                        {"IoU 0.5:0.95", share(coco.recall_1), share(coco.recall_10), share(coco.recall_100),
                         share(coco.recall_small), share(coco.recall_medium), share(coco.recall_large)}});
  std::vector<Row> rows = {{"class", "objects", "AP", "AP50", "AP50, all points"}};
  for (size_t i = 0; i < std::min(of.categories.size(), kMostDetectionRows); ++i) {
    const CategoryNumbers& numbers = of.categories[i];
    rows.push_back({NameOf(i, names), std::to_string(numbers.truths), Share(numbers.ap), Share(numbers.ap50),
                    Share(numbers.ap50_all_points)});
  }
  text += "\n" + Align(rows);
  const DetectionErrors& errors = of.errors;
  text += fmt::format(
      "\nBoxes of a score of at least {:g}: {} right; wrong: {} class, {} place, {} both, {} twice, {} nothing there. "
      "Missed: {} objects.\n",
      of.least_score, errors.right, errors.classification, errors.localisation, errors.both, errors.duplicate,
      errors.background, errors.missed);
  return text;
}

}  // namespace lockstep::metrics
