#include "launch/report/evaluation_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "launch/page/axis.h"
#include "launch/report/detection_section.h"
#include "launch/report/recipe_differences.h"

namespace lockstep::launch {
namespace {

constexpr size_t kMostInMatrix = 40, kMostConfusions = 20, kMostClasses = 200, kMostWorst = 24, kMostText = 400,
                 kMostName = 40;

using metrics::Classification;

std::string NameAt(const std::vector<std::string>& names, size_t i) {
  return i < names.size() && !names[i].empty() ? Cut(names[i], kMostName) : std::to_string(i);
}

std::string Share(double value) { return std::isnan(value) ? "-" : fmt::format("{:.4f}", value); }

/// "r7", of ten strengths; empty where there is nothing.
std::string CellClass(int64_t count, int64_t of, bool right) {
  if (count == 0 || of == 0) return "";
  const double share = static_cast<double>(count) / static_cast<double>(of);
  return fmt::format("{}{}", right ? "r" : "w", std::clamp(static_cast<int>(std::ceil(10 * share)), 1, 10));
}

void DrawTotals(const records::SplitRecord& split, HtmlWriter& html) {
  const auto list = html.Open("dl", {{"class", "tiles"}});
  const auto add = [&](const std::string& name, const std::string& value) {
    const auto tile = html.Open("div");
    html.Add("dt", name);
    html.Add("dd", value);
  };
  if (split.classification) {
    const Classification& of = *split.classification;
    add("accuracy", Share(of.accuracy));
    add("balanced accuracy", Share(of.balanced_accuracy));
    if (!std::isnan(of.macro.f1)) add("F1, mean of classes", Share(of.macro.f1));
    if (!std::isnan(of.auc)) add("AUC", Share(of.auc));
    if (of.classes.size() > 5 && !std::isnan(of.top5)) add("top-5 accuracy", Share(of.top5));
    if (!std::isnan(of.log_loss)) add("log loss", Share(of.log_loss));
    if (!std::isnan(of.calibration_error)) add("calibration error (ECE)", Share(of.calibration_error));
    return;
  }
  for (const auto& [name, value] : split.metrics) add(name, NumberText(value));
}

void DrawClasses(const Classification& of, const std::vector<std::string>& classes, HtmlWriter& html) {
  const auto scroll = html.Open("div", {{"class", "scroll"}});
  const auto table = html.Open("table");
  {
    const auto head = html.Open("thead");
    const auto row = html.Open("tr");
    html.Add("th", "class");
    for (const char* name : {"samples", "precision", "recall", "F1"}) html.Add("th", {{"class", "n"}}, name);
    html.Add("th", {{"class", "bar"}}, "");
    html.Add("th", {{"class", "n"}}, "AUC");
  }
  for (size_t i = 0; i < std::min(of.classes.size(), kMostClasses); ++i) {
    const metrics::ClassNumbers& numbers = of.classes[i];
    const auto row = html.Open("tr");
    html.Add("td", NameAt(classes, i));
    html.Add("td", {{"class", "n"}}, NumberText(static_cast<double>(numbers.support)));
    for (const double value : {numbers.precision, numbers.recall, numbers.f1})
      html.Add("td", {{"class", "n"}}, Share(value));
    {
      const auto bar = html.Open("td", {{"class", "bar"}});
      const double percent = std::isnan(numbers.f1) ? 0 : 100 * numbers.f1;
      html.Add("span", {{"style", fmt::format("width:{:.1f}%", percent)}}, "");
    }
    html.Add("td", {{"class", "n"}}, Share(numbers.auc));
  }
}

/// Of many classes: which are taken for which most often.
void DrawConfusions(const Classification& of, const std::vector<std::string>& classes, HtmlWriter& html) {
  const size_t count = of.classes.size();
  std::vector<size_t> cells;
  for (size_t i = 0; i < of.confusion.size(); ++i)
    if (i / count != i % count && of.confusion[i] > 0) cells.push_back(i);
  std::stable_sort(cells.begin(), cells.end(), [&](size_t a, size_t b) { return of.confusion[a] > of.confusion[b]; });
  cells.resize(std::min(cells.size(), kMostConfusions));
  html.Add("h3", "Most frequent confusions");
  const auto table = html.Open("table");
  {
    const auto row = html.Open("tr");
    html.Add("th", "is");
    html.Add("th", "taken for");
    html.Add("th", {{"class", "n"}}, "samples");
  }
  for (const size_t i : cells) {
    const auto row = html.Open("tr");
    html.Add("td", NameAt(classes, i / count));
    html.Add("td", NameAt(classes, i % count));
    html.Add("td", {{"class", "n"}}, NumberText(static_cast<double>(of.confusion[i])));
  }
}

void DrawTargets(const metrics::Regression& of, const std::vector<std::string>& targets, HtmlWriter& html) {
  const auto table = html.Open("table");
  {
    const auto row = html.Open("tr");
    html.Add("th", "target");
    for (const char* name : {"R2", "MAE", "RMSE", "MSE"}) html.Add("th", {{"class", "n"}}, name);
  }
  const auto add = [&](const std::string& name, const metrics::RegressionNumbers& numbers) {
    const auto row = html.Open("tr");
    html.Add("td", name);
    html.Add("td", {{"class", "n"}}, Share(numbers.r2));
    for (const double value : {numbers.mae, numbers.rmse, numbers.mse})
      html.Add("td", {{"class", "n"}}, NumberText(value));
  };
  for (size_t i = 0; i < of.targets.size(); ++i) add(NameAt(targets, i), of.targets[i]);
  if (of.targets.size() > 1) add("mean", of.mean);
}

/// Whether answers are texts, which take more room.
bool IsOfTexts(const records::SplitRecord& split) { return split.worst_by == "cer" || split.worst_by == "chrf"; }

/// In what order the worst answers are.
std::string OrderOfWorst(const std::string& worst_by) {
  if (worst_by == "loss")
    return "Wrong answers, those first that gave the true class the lowest probability (the largest loss).";
  if (worst_by == "squared error") return "Those of the largest squared error first.";
  if (worst_by == "cer") return "Those first that have the most wrong characters for each true one (CER).";
  if (worst_by == "errors") return "Pictures in which most is missed (red) or wrong (orange); what is right is green.";
  return worst_by == "chrf" ? "Those of the lowest chrF first." : "";
}

std::string ImageSource(const std::string& base64) {
  constexpr const char* kJpegBegins = "/9j/";
  return fmt::format("data:image/{};base64,{}", base64.starts_with(kJpegBegins) ? "jpeg" : "png", base64);
}

void DrawWorst(const records::SplitRecord& split, const records::WorstAnswer& worst, HtmlWriter& html) {
  const auto card = html.Open("div");
  if (!worst.image.empty()) html.AddEmpty("img", {{"src", ImageSource(worst.image)}, {"alt", worst.name}});
  const auto line = [&](const char* what, const std::string& text) {
    const auto division = html.Open("div");
    html.Add("span", {{"class", "soft"}}, what);
    html.AddText(text);
  };
  const bool texts = IsOfTexts(split), pictures = split.worst_by == "errors";
  if (texts && !worst.text.empty()) line("source ", Cut(worst.text, kMostText));
  line(texts ? "reference " : pictures ? "" : "is ", Cut(worst.expected, kMostText));
  const std::string sure = worst.probability ? fmt::format(" ({:.1f}%)", 100 * *worst.probability) : "";
  line(pictures ? "" : "answer ", Cut(worst.answer, kMostText) + sure);
  if (worst.loss) line(split.worst_by == "squared error" ? "squared error " : "loss ", NumberText(*worst.loss));
  if (worst.score && !pictures) line(split.worst_by == "cer" ? "CER " : "chrF ", NumberText(*worst.score));
  if (!texts && !worst.text.empty()) line("", Cut(worst.text, kMostText));
  html.Add("div", {{"class", "soft"}},
           worst.name.empty() ? fmt::format("sample {}, from 0", worst.sample) : worst.name);
}

}  // namespace

void DrawConfusion(const Classification& of, const std::vector<std::string>& classes, HtmlWriter& html) {
  const size_t count = of.classes.size();
  html.Add("h3", "Confusion matrix");
  html.Add("p", {{"class", "note"}},
           "A row for what samples are, a column for what they were taken for. Colours are shares of the row: right "
           "answers on the diagonal, wrong ones beside it.");
  const auto scroll = html.Open("div", {{"class", "scroll"}});
  const auto table = html.Open("table", {{"class", "heat"}});
  {
    const auto head = html.Open("thead");
    const auto row = html.Open("tr");
    html.Add("th", "");
    const bool upright = std::any_of(classes.begin(), classes.end(), [](auto& name) { return name.size() > 5; });
    for (size_t i = 0; i < count; ++i) {
      const auto cell = html.Open("th", {{"class", upright ? "up" : ""}, {"scope", "col"}});
      html.Add("span", NameAt(classes, i));
    }
  }
  const auto body = html.Open("tbody");
  for (size_t i = 0; i < count; ++i) {
    const auto row = html.Open("tr");
    html.Add("th", {{"scope", "row"}}, NameAt(classes, i));
    for (size_t j = 0; j < count; ++j) {
      const int64_t cell = of.confusion[i * count + j];
      html.Add("td", {{"class", CellClass(cell, of.classes[i].support, i == j)}},
               cell == 0 ? "" : std::to_string(cell));
    }
  }
}

void DrawEvaluation(const records::SplitRecord& split, HtmlWriter& html) {
  html.Add("h2", fmt::format("Answers: {} split", split.split));
  html.Add("p", {{"class", "soft"}},
           fmt::format("{} samples, answered by the weights of step {}.",
                       NumberText(static_cast<double>(split.samples)), NumberText(static_cast<double>(split.step))));
  if (split.detection)
    DrawDetection(*split.detection, split.classes, html);
  else
    DrawTotals(split, html);
  if (split.classification) {
    if (split.classification->classes.size() <= kMostInMatrix)
      DrawConfusion(*split.classification, split.classes, html);
    else
      DrawConfusions(*split.classification, split.classes, html);
    html.Add("h3", "Classes");
    if (split.classification->classes.size() > kMostClasses)
      html.Add("p", {{"class", "note"}}, fmt::format("The first {} are shown.", kMostClasses));
    DrawClasses(*split.classification, split.classes, html);
  }
  if (split.regression) DrawTargets(*split.regression, split.targets, html);
  if (!split.worst.empty()) html.Add("h3", "Worst answers");
  DrawWorstAnswers(split, kMostWorst, html);
}

void DrawWorstAnswers(const records::SplitRecord& split, size_t most, HtmlWriter& html) {
  if (split.worst.empty()) return;
  if (const std::string order = OrderOfWorst(split.worst_by); !order.empty()) html.Add("p", {{"class", "note"}}, order);
  const auto grid = html.Open("div", {{"class", IsOfTexts(split)             ? "worst texts"
                                                : split.worst_by == "errors" ? "worst drawn"
                                                                             : "worst"}});
  for (size_t i = 0; i < std::min(split.worst.size(), most); ++i) DrawWorst(split, split.worst[i], html);
}

}  // namespace lockstep::launch
