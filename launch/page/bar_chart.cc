#include "launch/page/bar_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "launch/page/axis.h"

namespace lockstep::launch {
namespace {

constexpr double kLetter = 6.7, kLineHeight = 14;  // of the font in page_style.cc, in pixels
constexpr double kBar = 22, kRow = 34, kTop = 4, kGap = 8;
constexpr size_t kColours = 8;

double WidthOf(const std::string& text) { return kLetter * static_cast<double>(text.size()); }
double Finite(double value) { return std::isfinite(value) && value > 0 ? value : 0; }

/// Of a label that would take more than a third of the chart, its beginning.
std::string Shortened(const std::string& label, double width) {
  const auto most = static_cast<size_t>(width / 3 / kLetter);
  return label.size() <= most ? label : label.substr(0, most - 3) + "...";
}

double SumOf(const StackedBars::Bar& bar) {
  double sum = 0;
  for (const double value : bar.values) sum += Finite(value);
  return sum;
}

class BarPlot {
 public:
  BarPlot(const StackedBars& chart, HtmlWriter& html) : chart_(chart), html_(html) {
    double most = 0, label = 0, number = 0;
    for (const StackedBars::Bar& bar : chart.bars) {
      most = std::max({most, SumOf(bar), Finite(bar.whole)});
      label = std::max(label, WidthOf(Shortened(bar.label, chart.width)));
      number = std::max(number, WidthOf(WholeText(bar)));
    }
    empty_ = most <= 0;
    axis_ = {.low = 0, .high = empty_ ? 1 : most, .begin = label + kGap, .end = chart.width - number - kGap - 4};
    bottom_ = kTop + kRow * static_cast<double>(chart.bars.size());
  }

  bool empty() const { return empty_; }
  double height() const { return bottom_ + 2 * kLineHeight + 12; }

  void Draw() {
    DrawAxis();
    for (size_t i = 0; i < chart_.bars.size(); ++i)
      DrawBar(chart_.bars[i], kTop + kRow * static_cast<double>(i) + (kRow - kBar) / 2);
  }

 private:
  static double WholeOf(const StackedBars::Bar& bar) { return bar.whole > 0 ? bar.whole : SumOf(bar); }
  std::string WholeText(const StackedBars::Bar& bar) const {
    return fmt::format("{:.3g} {}", WholeOf(bar), chart_.unit);
  }
  static std::string Pixel(double value) { return fmt::format("{:.1f}", value); }

  void AddText(double x, double y, const char* anchor, const std::string& text, const char* style = "label") {
    html_.Add("text", {{"class", style}, {"x", Pixel(x)}, {"y", Pixel(y)}, {"text-anchor", anchor}}, text);
  }
  void AddLine(const char* style, double x1, double y1, double x2, double y2) {
    html_.AddEmpty("path",
                   {{"class", style}, {"d", fmt::format("M{} {}L{} {}", Pixel(x1), Pixel(y1), Pixel(x2), Pixel(y2))}});
  }

  void DrawAxis() {
    const std::vector<double> ticks = TicksOf(axis_, chart_.width / 120);
    const std::vector<std::string> texts = TickTexts(ticks);
    for (size_t i = 0; i < ticks.size(); ++i) {
      const double x = axis_.At(ticks[i]);
      AddLine("grid", x, kTop, x, bottom_);
      AddText(x, bottom_ + kLineHeight + 2, "middle", texts[i]);
    }
    AddLine("axis", axis_.begin, kTop, axis_.begin, bottom_);
    AddText((axis_.begin + axis_.end) / 2, height() - 4, "middle", chart_.unit, "label title");
  }

  void DrawBar(const StackedBars::Bar& bar, double y) {
    const double middle = y + kBar / 2 + 4;
    AddText(axis_.begin - kGap, middle, "end", Shortened(bar.label, chart_.width));
    double sum = 0;
    for (size_t part = 0; part < std::min(bar.values.size(), chart_.parts.size()); ++part) {
      const double value = Finite(bar.values[part]);
      if (value > 0) DrawPart(part, value, sum, y);
      sum += value;
    }
    if (!chart_.whole_name.empty()) {
      const double x = axis_.At(WholeOf(bar));
      AddLine("whole", x, y - 4, x, y + kBar + 4);
    }
    AddText(axis_.At(std::max(sum, WholeOf(bar))) + 6, middle, "start", WholeText(bar));
  }

  void DrawPart(size_t part, double value, double from, double y) {
    const double begin = axis_.At(from), end = axis_.At(from + value);
    {
      const auto rect = html_.Open("rect", {{"class", fmt::format("part f{}", part % kColours)},
                                            {"x", Pixel(begin)},
                                            {"y", Pixel(y)},
                                            {"width", Pixel(end - begin)},
                                            {"height", Pixel(kBar)}});
      html_.Add("title", fmt::format("{}: {} {}", chart_.parts[part], NumberText(value), chart_.unit));
    }
    const std::string text = fmt::format("{:.3g}", value);
    if (end - begin > WidthOf(text) + 8)
      AddText((begin + end) / 2, y + kBar / 2 + 4, "middle", text, "label part-label");
  }

  const StackedBars& chart_;
  HtmlWriter& html_;
  Axis axis_;
  double bottom_ = 0;
  bool empty_ = true;
};

void AddLegendItem(const std::string& style, const char* path, const std::string& name, HtmlWriter& html) {
  const auto item = html.Open("li");
  {
    const auto swatch = html.Open("svg", {{"viewBox", "0 0 26 10"}, {"width", "26"}, {"height", "10"}});
    html.AddEmpty("path", {{"class", style}, {"d", path}});
  }
  html.AddText(name);
}

void DrawLegend(const StackedBars& chart, HtmlWriter& html) {
  const auto list = html.Open("ul", {{"class", "legend"}});
  for (size_t part = 0; part < chart.parts.size(); ++part)
    if (std::ranges::any_of(chart.bars, [&](const StackedBars::Bar& bar) {
          return part < bar.values.size() && Finite(bar.values[part]) > 0;
        }))
      AddLegendItem(fmt::format("f{}", part % kColours), "M2 0H24V10H2z", chart.parts[part], html);
  if (!chart.whole_name.empty()) AddLegendItem("whole", "M13 0V10", chart.whole_name, html);
}

}  // namespace

void DrawBars(const StackedBars& chart, HtmlWriter& html) {
  const auto figure = html.Open("figure", {{"class", "chart wide"}});
  html.Add("figcaption", chart.title);
  BarPlot plot(chart, html);
  if (plot.empty()) {
    html.Add("p", {{"class", "note"}}, "There is nothing to draw.");
    return;
  }
  DrawLegend(chart, html);
  {
    const auto scroll = html.Open("div", {{"class", "scroll"}});
    const auto svg = html.Open("svg", {{"viewBox", fmt::format("0 0 {} {:.0f}", chart.width, plot.height())},
                                       {"role", "img"},
                                       {"aria-label", chart.title}});
    plot.Draw();
  }
  if (!chart.note.empty()) html.Add("p", {{"class", "note"}}, chart.note);
}

}  // namespace lockstep::launch
