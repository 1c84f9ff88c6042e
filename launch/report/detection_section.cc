#include "launch/report/detection_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "launch/page/axis.h"
#include "launch/page/bar_chart.h"
#include "launch/page/chart.h"

namespace lockstep::launch {
namespace {

using metrics::CategoryNumbers;
using metrics::DetectionMeasures;

constexpr size_t kMostCurves = 8, kMostRows = 200;

/// COCO says -1 where there is nothing to be found.
std::string Share(double value) { return std::isnan(value) || value < 0 ? "-" : fmt::format("{:.4f}", value); }

std::string NameAt(const std::vector<std::string>& classes, size_t i) {
  return i < classes.size() ? classes[i] : std::to_string(i);
}

void DrawTiles(const DetectionMeasures& of, HtmlWriter& html) {
  const auto list = html.Open("dl", {{"class", "tiles"}});
  const metrics::CocoSummary& coco = of.summary;
  for (const auto& [name, value] : {std::pair{"AP (IoU 0.5:0.95)", coco.ap},
                                    {"AP50", coco.ap50},
                                    {"AP75", coco.ap75},
                                    {"AP50, all points", of.ap50_all_points},
                                    {"AP of small objects", coco.ap_small},
                                    {"AP of medium ones", coco.ap_medium},
                                    {"AP of large ones", coco.ap_large},
                                    {"recall of 100 boxes", coco.recall_100}}) {
    const auto tile = html.Open("div");
    html.Add("dt", name);
    html.Add("dd", Share(value));
  }
}

/// Those with most objects, where there are many.
std::vector<size_t> Curves(const DetectionMeasures& of) {
  std::vector<size_t> order(of.categories.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::erase_if(order, [&](size_t i) { return of.categories[i].precision.empty(); });
  if (order.size() <= kMostCurves) return order;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return of.categories[a].truths > of.categories[b].truths; });
  order.resize(kMostCurves);
  return order;
}

void DrawCurves(const DetectionMeasures& of, const std::vector<std::string>& classes, HtmlWriter& html) {
  Chart chart{.title = "Precision over recall, at IoU 0.5"};
  chart.note = of.categories.size() > kMostCurves ? "The classes with most objects." : "";
  chart.x_label = "recall";
  chart.y_label = "precision";
  chart.y_from_zero = true;
  chart.whole_x = false;
  chart.x_range = XRange{0, 1};
  int colour = 0;
  for (const size_t i : Curves(of)) {
    const CategoryNumbers& numbers = of.categories[i];
    Series series{.name = fmt::format("{} ({})", NameAt(classes, i), Share(numbers.ap50)), .colour = colour++};
    const auto last = static_cast<double>(numbers.precision.size() - 1);
    for (size_t k = 0; k < numbers.precision.size(); ++k)
      series.points.push_back({last > 0 ? static_cast<double>(k) / last : 0, numbers.precision[k]});
    chart.series.push_back(std::move(series));
  }
  DrawChart(chart, html);
}

void DrawCategories(const DetectionMeasures& of, const std::vector<std::string>& classes, HtmlWriter& html) {
  const auto scroll = html.Open("div", {{"class", "scroll"}});
  const auto table = html.Open("table");
  {
    const auto row = html.Open("tr");
    html.Add("th", "class");
    for (const char* name : {"objects", "AP", "AP50", "AP50, all points"}) html.Add("th", {{"class", "n"}}, name);
  }
  for (size_t i = 0; i < std::min(of.categories.size(), kMostRows); ++i) {
    const CategoryNumbers& numbers = of.categories[i];
    const auto row = html.Open("tr");
    html.Add("td", NameAt(classes, i));
    html.Add("td", {{"class", "n"}}, NumberText(static_cast<double>(numbers.truths)));
    for (const double value : {numbers.ap, numbers.ap50, numbers.ap50_all_points})
      html.Add("td", {{"class", "n"}}, Share(value));
  }
}

void DrawErrors(const DetectionMeasures& of, HtmlWriter& html) {
  const metrics::DetectionErrors& errors = of.errors;
  StackedBars chart{.title = "What boxes are wrong by, and what is missed"};
  chart.note = fmt::format(
      "Boxes of a score of at least {:g}. Wrong class: in its place, of another class. Wrong place: an IoU of 0.1 to "
      "0.5. "
      "Twice: another box has the object already. Kinds of errors as TIDE tells them (Bolya et al. 2020).",
      of.least_score);
  chart.parts = {"right", "wrong class", "wrong place", "both wrong", "twice", "nothing there", "missed"};
  const auto number = [](int64_t count) { return static_cast<double>(count); };
  chart.bars = {{"boxes",
                 {number(errors.right), number(errors.classification), number(errors.localisation), number(errors.both),
                  number(errors.duplicate), number(errors.background), 0}},
                {"objects missed", {0, 0, 0, 0, 0, 0, number(errors.missed)}}};
  DrawBars(chart, html);
}

}  // namespace

void DrawDetection(const DetectionMeasures& of, const std::vector<std::string>& classes, HtmlWriter& html) {
  DrawTiles(of, html);
  DrawCurves(of, classes, html);
  html.Add("h3", "Classes");
  if (of.categories.size() > kMostRows)
    html.Add("p", {{"class", "note"}}, fmt::format("The first {} are shown.", kMostRows));
  DrawCategories(of, classes, html);
  DrawErrors(of, html);
}

}  // namespace lockstep::launch
