#include "launch/page/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lockstep::launch {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string Draw(const Chart& chart) {
  HtmlWriter html;
  DrawChart(chart, html);
  return html.Take();
}

std::vector<Point> Line(int count) {
  std::vector<Point> points;
  for (int i = 0; i < count; ++i) points.push_back({static_cast<double>(i), std::sin(i)});
  return points;
}

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(ThinOut, KeepsTheExtremesOfEachColumn) {
  std::vector<Point> points = Line(100000);
  points[31234].y = 7;
  points[71234].y = -7;
  const std::vector<Point> thin = ThinOut(points, 0, 100000, 300);
  EXPECT_LE(thin.size(), 1200u);
  EXPECT_EQ(thin.front(), points.front());
  EXPECT_EQ(thin.back(), points.back());
  EXPECT_TRUE(std::is_sorted(thin.begin(), thin.end(), [](auto& a, auto& b) { return a.x < b.x; }));
  // In every column the span of what is drawn is the span of all.
  for (int column = 0; column < 300; ++column) {
    const auto span = [&](const std::vector<Point>& of) {
      double low = 1e9, high = -1e9;
      for (const Point& point : of)
        if (std::floor(point.x / 100000 * 300) == column) {
          low = std::min(low, point.y);
          high = std::max(high, point.y);
        }
      return std::pair(low, high);
    };
    ASSERT_EQ(span(thin), span(points)) << column;
  }
}

TEST(ThinOut, LeavesShortCurvesAndKeepsGaps) {
  EXPECT_EQ(ThinOut(Line(100), 0, 100, 300), Line(100));
  std::vector<Point> points = Line(10000);
  for (int i = 5000; i < 5003; ++i) points[static_cast<size_t>(i)].y = kNan;
  const std::vector<Point> thin = ThinOut(points, 0, 10000, 100);
  EXPECT_TRUE(std::any_of(thin.begin(), thin.end(), [](const Point& point) { return std::isnan(point.y); }));
}

TEST(DrawChart, DrawsLinesWithGapsWhereNumbersAreNone) {
  const std::string text =
      Draw({.title = "Loss", .series = {{.name = "a", .points = {{0, 1}, {1, 2}, {2, kNan}, {3, HUGE_VAL}, {4, 1}}}}});
  EXPECT_EQ(Count(text, "class=\"line c0 d0\""), 2) << "the legend's and the chart's";
  // Two parts, the second a single point that round ends make a dot of.
  EXPECT_THAT(text, testing::ContainsRegex("d=\"M[0-9. ]+L[0-9. ]+M[0-9. ]+h0\""));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
  EXPECT_THAT(text, Not(HasSubstr("inf")));
}

TEST(DrawChart, SaysWhereThereIsNothing) {
  EXPECT_THAT(Draw({.title = "Loss", .series = {{.name = "a", .points = {{0, kNan}}}}}), HasSubstr("nothing to draw"));
  EXPECT_THAT(Draw({.title = "Loss"}), HasSubstr("nothing to draw"));
}

TEST(DrawChart, EscapesNames) {
  const std::string text = Draw({.title = "<b>", .series = {{.name = "</svg>", .points = {{0, 1}, {1, 2}}}}});
  EXPECT_THAT(text, HasSubstr("<figcaption>&lt;b&gt;</figcaption>"));
  EXPECT_THAT(text, HasSubstr("&lt;/svg&gt;"));
}

TEST(DrawChart, LabelsThatWouldOverlapAreLeftOut) {
  Chart chart{.title = "x", .series = {{.name = "a", .points = {{0, 1}, {1000, 2}}}}};
  for (int i = 0; i < 200; ++i) chart.marks.push_back({5.0 * i, "start " + std::to_string(i)});
  const std::string text = Draw(chart);
  EXPECT_EQ(Count(text, "class=\"mark\""), 200);
  EXPECT_LT(Count(text, ">start "), 20);
  EXPECT_GT(Count(text, ">start "), 5);
}

TEST(DrawChart, OfALogarithmicAxisWhatIsNotPositiveIsAGap) {
  const std::string text =
      Draw({.title = "x", .log_y = true, .series = {{.name = "a", .points = {{0, 1}, {1, 0}, {2, 100}, {3, 10}}}}});
  EXPECT_THAT(text, testing::ContainsRegex("d=\"M[0-9. ]+h0M[0-9. ]+L[0-9. ]+\""));
}

TEST(DrawChart, ShadesBandsTicksAndDotsAreDrawn) {
  const Chart chart{.title = "x",
                    .shades = {{2, 9, "worse"}},
                    .bands = {{"spread", {{0, 1, 2}, {9, 1, 3}}, 2}},
                    .series = {{.name = "a", .points = Line(10), .colour = 11, .dots = true},
                               {.name = "saved", .points = {{3, 1}, {6, 1}}, .line = false}},
                    .ticks = {0, 1, 1.001, 100},
                    .ticks_name = "checkpoints"};
  const std::string text = Draw(chart);
  EXPECT_THAT(text, HasSubstr(">worse</text>"));
  EXPECT_THAT(text, HasSubstr("class=\"band f2\""));
  EXPECT_THAT(text, HasSubstr("line c3 d1")) << "the twelfth colour is the fourth, dashed";
  EXPECT_EQ(Count(text, "class=\"dot f3\""), 10);
  EXPECT_EQ(Count(text, "class=\"dot f0\""), 2);
  EXPECT_EQ(Count(text, "class=\"triangle\""), 3)
      << "two in the chart: one is outside, one too close; and the legend's";
}

/// The x of the first dot that a title of this text belongs to.
double DotAt(const std::string& html, const std::string& title) {
  const size_t end = html.find("<title>" + title), at = html.rfind("cx=\"", end);
  return end == std::string::npos ? kNan : std::stod(html.substr(at + 4));
}

TEST(Chart, ALogarithmicXAxisHasDecadesEquallyFarApart) {
  Chart chart{.title = "t", .log_x = true, .x_range = XRange{1e-4, 1e-1}};
  chart.whole_x = false;
  chart.series = {{.points = {{1e-3, 1}, {1e-2, 2}, {1e-1, 3}}, .line = false}};
  const std::string html = Draw(chart);
  const double first = DotAt(html, "0.001: 1"), second = DotAt(html, "0.01: 2"), third = DotAt(html, "0.1: 3");
  EXPECT_NEAR(second - first, third - second, 0.2);
  EXPECT_GT(second - first, 100);
  EXPECT_THAT(html, HasSubstr(">0.0001</text>"));
}

TEST(Chart, NamesStandInThePlaceOfNumbers) {
  Chart chart{.title = "t", .x_range = XRange{0, 2}, .x_names = {{0, "relu"}, {1, "gelu"}, {2, "tanh"}}};
  chart.series = {{.points = {{1, 5}}, .line = false}};
  const std::string html = Draw(chart);
  for (const char* name : {">relu</text>", ">gelu</text>", ">tanh</text>", "<title>gelu: 5"})
    EXPECT_THAT(html, HasSubstr(name));
  EXPECT_THAT(html, Not(HasSubstr(">0.5</text>")));
  // Names that would lie on each other are left out.
  chart.x_names.clear();
  for (int i = 0; i < 200; ++i) chart.x_names.push_back({i / 100.0, "name" + std::to_string(i)});
  EXPECT_LT(Count(Draw(chart), ">name"), 30);
}

}  // namespace
}  // namespace lockstep::launch
