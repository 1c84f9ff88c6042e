#include "launch/page/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "launch/page/axis.h"

namespace lockstep::launch {
namespace {

constexpr int kColours = 8, kDashes = 3;
constexpr double kLetter = 6.7, kLineHeight = 14;  // of the font in page_style.cc, in pixels
constexpr size_t kMostDots = 80, kMostDotsInAll = 120;
constexpr int kWidestSmall = 600;

double WidthOf(const std::string& text) { return kLetter * static_cast<double>(text.size()); }

std::string Pixel(double value) {
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string LineClass(const Series& series) {
  return fmt::format("line c{}{}{}", series.colour % kColours, series.faint ? " faint" : "",
                     fmt::format(" d{}", series.colour / kColours % kDashes));
}

/// Where the chart's parts are, and the two axes.
class Plot {
 public:
  Plot(const Chart& chart, HtmlWriter& html) : chart_(chart), html_(html) {
    Extent x, y;
    for (const Series& series : chart.series)
      for (const Point& point : series.points)
        if (std::isfinite(point.y)) {
          x.Add(point.x);
          y.Add(point.y);
        }
    for (const Band& band : chart.bands)
      for (const Band::Piece& piece : band.pieces) {
        x.Add(piece.x);
        y.Add(piece.low);
        y.Add(piece.high);
      }
    empty_ = y.empty();
    crowded_ = AreTooMany(chart.series);
    const bool highs = std::ranges::any_of(chart.marks, [](const Mark& mark) { return !mark.high.empty(); });
    const double top =
        8 + (chart.y_label.empty() && chart.marks.empty() ? 0 : kLineHeight + 4) + (highs ? kLineHeight : 0);
    const double bottom = chart.height - 2 * kLineHeight - 12;
    y_ = MakeAxis(y, {.log = chart.log_y, .from_zero = chart.y_from_zero, .margin = 0.04}, bottom, top);
    if (chart.y_numbers) y_ticks_ = TicksOf(y_, chart.height / 55);
    y_texts_ = TickTexts(y_ticks_);
    double widest = 0;
    for (const std::string& text : y_texts_) widest = std::max(widest, WidthOf(text));
    constexpr double kRoom = 0.03;  // of a range that dots may lie at the ends of
    if (chart.x_range) {
      x.Add(chart.x_range->low);
      x.Add(chart.x_range->high);
    }
    const AxisOptions options{.log = chart.log_x, .near_zero = !chart.x_range, .margin = chart.x_range ? kRoom : 0.0};
    x_ = MakeAxis(x, options, widest + 12, chart.width - 16);
    if (chart.x_names.empty()) x_ticks_ = TicksOf(x_, chart.width / 90, chart.whole_x);
  }

  bool empty() const { return empty_; }

  void Draw() {
    DrawShades();
    DrawGrid();
    for (const Band& band : chart_.bands) DrawBand(band);
    for (const bool faint : {true, false})
      for (const Series& series : chart_.series)
        if (series.faint == faint) DrawSeries(series);
    DrawMarks();
    DrawTriangles();
  }

 private:
  /// Dots of lines, to be told apart.
  static bool AreTooMany(const std::vector<Series>& all) {
    size_t most = 0, sum = 0;
    for (const Series& series : all) {
      if (!series.line || !series.dots) continue;
      most = std::max(most, series.points.size());
      sum += series.points.size();
    }
    return most > kMostDots || sum > kMostDotsInAll;
  }

  double left() const { return x_.begin; }
  double right() const { return x_.end; }
  double top() const { return y_.end; }
  double bottom() const { return y_.begin; }

  void AddText(double x, double y, const char* anchor, const std::string& text, const char* style = "label") {
    html_.Add("text", {{"class", style}, {"x", Pixel(x)}, {"y", Pixel(y)}, {"text-anchor", anchor}}, text);
  }
  void AddLine(const char* style, double x1, double y1, double x2, double y2) {
    html_.AddEmpty("path",
                   {{"class", style}, {"d", fmt::format("M{} {}L{} {}", Pixel(x1), Pixel(y1), Pixel(x2), Pixel(y2))}});
  }

  void DrawGrid() {
    for (size_t i = 0; i < y_ticks_.size(); ++i) {
      const double y = y_.At(y_ticks_[i]);
      AddLine("grid", left(), y, right(), y);
      AddText(left() - 6, y + 4, "end", y_texts_[i]);
    }
    AddLine("axis", left(), bottom(), right(), bottom());
    DrawXTexts();
    if (!chart_.x_label.empty())
      AddText((left() + right()) / 2, chart_.height - 4, "middle", chart_.x_label, "label title");
    if (!chart_.y_label.empty()) AddText(2, kLineHeight - 2, "start", chart_.y_label, "label title");
  }

  void DrawXTexts() {
    const std::vector<std::string> texts = TickTexts(x_ticks_);
    for (size_t i = 0; i < x_ticks_.size(); ++i) {
      const double x = x_.At(x_ticks_[i]), half = WidthOf(texts[i]) / 2;
      AddLine("axis", x, bottom(), x, bottom() + 4);
      AddText(std::min(x, chart_.width - half), bottom() + kLineHeight + 4, "middle", texts[i]);
    }
    double free_from = 0;
    for (const XName& name : chart_.x_names) {
      const double x = x_.At(name.x), width = WidthOf(name.name);
      AddLine("axis", x, bottom(), x, bottom() + 4);
      const double begin = std::clamp(x - width / 2, 0.0, std::max(0.0, chart_.width - width - 2));
      if (begin < free_from) continue;
      AddText(begin + width / 2, bottom() + kLineHeight + 4, "middle", name.name);
      free_from = begin + width + 8;
    }
  }

  /// A name, or the number.
  std::string XText(double x) const {
    const auto name = std::ranges::find(chart_.x_names, x, &XName::x);
    return name == chart_.x_names.end() ? NumberText(x) : name->name;
  }

  void DrawShades() {
    for (const Shade& shade : chart_.shades) {
      const double begin = std::clamp(x_.At(shade.begin), left(), right()),
                   end = std::clamp(x_.At(shade.end), left(), right());
      html_.AddEmpty("rect", {{"class", "shade"},
                              {"x", Pixel(begin)},
                              {"y", Pixel(top())},
                              {"width", Pixel(end - begin)},
                              {"height", Pixel(bottom() - top())}});
      if (end - begin > WidthOf(shade.label) + 8)
        AddText(begin + 5, top() + kLineHeight, "start", shade.label, "label shade-label");
    }
  }

  void DrawBand(const Band& band) {
    std::string path;
    const auto add = [&](const Band::Piece& piece, double y) {
      path += fmt::format("{}{} {}", path.empty() ? "M" : "L", Pixel(x_.At(piece.x)), Pixel(y_.At(y)));
    };
    for (const Band::Piece& piece : band.pieces) add(piece, piece.high);
    for (auto piece = band.pieces.rbegin(); piece != band.pieces.rend(); ++piece) add(*piece, piece->low);
    if (!path.empty())
      html_.AddEmpty("path", {{"class", fmt::format("band f{}", band.colour % kColours)}, {"d", path}});
  }

  bool Drawable(const Point& point) const { return std::isfinite(point.y) && (!y_.log || point.y > 0); }

  void DrawSeries(const Series& series) {
    if (series.line) DrawLine(series);
    if (!series.line || (series.dots && !crowded_)) DrawDots(series);
  }

  void DrawLine(const Series& series) {
    // Two pixels a column: the page of many runs stays small, and nobody sees a difference.
    const auto columns = static_cast<int>(right() - left()) / 2;
    const std::vector<Point> points = ThinOut(series.points, x_.low, x_.high, columns);
    std::string path;
    bool pen_down = false, alone = false;
    for (const Point& point : points) {
      if (!Drawable(point)) {
        if (alone) path += "h0";  // round ends make a dot of it
        pen_down = alone = false;
        continue;
      }
      path += fmt::format("{}{} {}", pen_down ? "L" : "M", Pixel(x_.At(point.x)), Pixel(y_.At(point.y)));
      alone = !pen_down;
      pen_down = true;
    }
    if (alone) path += "h0";
    if (!path.empty()) html_.AddEmpty("path", {{"class", LineClass(series)}, {"d", path}});
  }

  void DrawDots(const Series& series) {
    for (const Point& point : series.points) {
      if (!Drawable(point)) continue;
      const auto dot = html_.Open("circle", {{"class", fmt::format("dot f{}", series.colour % kColours)},
                                             {"cx", Pixel(x_.At(point.x))},
                                             {"cy", Pixel(y_.At(point.y))},
                                             {"r", "2.6"}});
      html_.Add("title", fmt::format("{}: {}", XText(point.x), NumberText(point.y)));
    }
  }

  void DrawMarks() {
    // What would lie on the label before it has none; the y axis' label comes first.
    double free_from = chart_.y_label.empty() ? 0 : WidthOf(chart_.y_label) + 12;
    for (const Mark& mark : chart_.marks) {
      const double x = x_.At(mark.x), width = std::max(WidthOf(mark.label), WidthOf(mark.high));
      if (x < left() - 0.5 || x > right() + 0.5) continue;
      AddLine("mark", x, top(), x, bottom());
      const double begin = std::clamp(x - width / 2, 0.0, std::max(0.0, chart_.width - width - 2));
      if (begin < free_from) continue;
      AddText(begin + width / 2, kLineHeight - 2, "middle", mark.label);
      const double half = WidthOf(mark.high) / 2;
      if (!mark.high.empty())
        AddText(std::clamp(x, half, std::max(half, chart_.width - half - 2)), 2 * kLineHeight, "middle", mark.high);
      free_from = begin + width + 8;
    }
  }

  void DrawTriangles() {
    double before = -1e9;
    for (const double tick : chart_.ticks) {
      const double x = x_.At(tick);
      if (x < left() - 0.5 || x > right() + 0.5 || x - before < 3) continue;
      before = x;
      html_.AddEmpty("path",
                     {{"class", "triangle"}, {"d", fmt::format("M{} {}l3.5 -7h-7z", Pixel(x), Pixel(bottom()))}});
    }
  }

  const Chart& chart_;
  HtmlWriter& html_;
  Axis x_, y_;
  std::vector<double> x_ticks_, y_ticks_;
  std::vector<std::string> y_texts_;
  bool empty_ = true, crowded_ = false;
};

/// A swatch and a name.
void AddLegendItem(const std::string& style, const std::string& path, const std::string& name, HtmlWriter& html) {
  const auto item = html.Open("li");
  {
    const auto swatch = html.Open("svg", {{"viewBox", "0 0 26 10"}, {"width", "26"}, {"height", "10"}});
    html.AddEmpty("path", {{"class", style}, {"d", path}});
  }
  html.AddText(name);
}

void DrawLegend(const Chart& chart, HtmlWriter& html) {
  const auto list = html.Open("ul", {{"class", "legend"}});
  for (const Series& series : chart.series)
    if (!series.name.empty()) {
      const std::string dot = fmt::format("f{}", series.colour % kColours);
      if (series.line)
        AddLegendItem(LineClass(series), "M2 5H24", series.name, html);
      else
        AddLegendItem(dot, "M10 5a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z", series.name, html);
    }
  for (const Band& band : chart.bands)
    if (!band.name.empty())
      AddLegendItem(fmt::format("band f{}", band.colour % kColours), "M2 0H24V10H2z", band.name, html);
  if (!chart.ticks.empty() && !chart.ticks_name.empty())
    AddLegendItem("triangle", "M13 9l3.5 -7h-7z", chart.ticks_name, html);
}

}  // namespace

std::vector<Point> ThinOut(const std::vector<Point>& points, double begin, double end, int columns) {
  if (columns < 1 || !(end > begin) || points.size() <= 4 * static_cast<size_t>(columns)) return points;
  const auto column_of = [&](const Point& point) { return std::floor((point.x - begin) / (end - begin) * columns); };
  std::vector<Point> kept;
  for (size_t at = 0; at < points.size();) {
    const bool finite = std::isfinite(points[at].y);
    size_t least = at, highest = at, last = at;
    for (size_t i = at; i < points.size(); ++i) {
      if (column_of(points[i]) != column_of(points[at]) || std::isfinite(points[i].y) != finite) break;
      if (points[i].y < points[least].y) least = i;
      if (points[i].y > points[highest].y) highest = i;
      last = i;
    }
    size_t chosen[] = {at, least, highest, last};
    std::sort(std::begin(chosen), std::end(chosen));
    const size_t* const end_of_chosen = std::unique(std::begin(chosen), std::end(chosen));
    for (const size_t* i = chosen; i != end_of_chosen; ++i) kept.push_back(points[*i]);
    at = last + 1;
  }
  return kept;
}

void DrawChart(const Chart& chart, HtmlWriter& html) {
  const bool wide = chart.width > kWidestSmall;
  const auto figure = html.Open("figure", {{"class", wide ? "chart wide" : "chart"}});
  html.Add("figcaption", chart.title);
  Plot plot(chart, html);
  if (plot.empty()) {
    html.Add("p", {{"class", "note"}}, "There is nothing to draw.");
    return;
  }
  DrawLegend(chart, html);
  {
    const auto scroll = html.Open("div", {{"class", "scroll"}});
    const auto svg = html.Open("svg", {{"viewBox", fmt::format("0 0 {} {}", chart.width, chart.height)},
                                       {"role", "img"},
                                       {"aria-label", chart.title}});
    plot.Draw();
  }
  if (!chart.note.empty()) html.Add("p", {{"class", "note"}}, chart.note);
}

}  // namespace lockstep::launch
