#include "launch/page/bar_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <regex>

namespace lockstep::launch {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Draw(const StackedBars& chart) {
  HtmlWriter html;
  DrawBars(chart, html);
  return html.Take();
}

struct Rect {
  double x = 0, y = 0, width = 0;
  std::string style;
};

std::vector<Rect> RectsOf(const std::string& html) {
  static const std::regex rect("<rect class=\"part (f[0-9])\" x=\"([0-9.]+)\" y=\"([0-9.]+)\" width=\"([0-9.]+)\"");
  std::vector<Rect> rects;
  for (std::sregex_iterator at(html.begin(), html.end(), rect), end; at != end; ++at)
    rects.push_back({std::stod((*at)[2]), std::stod((*at)[3]), std::stod((*at)[4]), (*at)[1]});
  return rects;
}

TEST(BarChart, PartsStandBehindEachOtherInProportion) {
  const std::vector<Rect> rects =
      RectsOf(Draw({.title = "t", .unit = "ms", .parts = {"a", "b", "c"}, .bars = {{"one", {1, 0, 3}}, {"two", {8}}}}));
  ASSERT_EQ(rects.size(), 3u);  // what is 0 is not drawn
  EXPECT_EQ(rects[0].style, "f0");
  EXPECT_EQ(rects[1].style, "f2");
  EXPECT_NEAR(rects[1].x, rects[0].x + rects[0].width, 0.11);
  EXPECT_NEAR(rects[1].width, 3 * rects[0].width, 0.3);
  EXPECT_NEAR(rects[2].width, 8 * rects[0].width, 0.6);
  EXPECT_EQ(rects[0].y, rects[1].y);
  EXPECT_GT(rects[2].y, rects[0].y);
  EXPECT_EQ(rects[2].x, rects[0].x);
}

TEST(BarChart, TheMarkStandsAtTheWhole) {
  const std::string html =
      Draw({.title = "t", .unit = "ms", .parts = {"a"}, .whole_name = "all of it", .bars = {{"one", {1}, 4}}});
  const std::vector<Rect> rects = RectsOf(html);
  ASSERT_EQ(rects.size(), 1u);
  std::smatch mark;
  ASSERT_TRUE(std::regex_search(html, mark, std::regex("class=\"whole\" d=\"M([0-9.]+) [0-9.]+L")));
  EXPECT_NEAR(std::stod(mark[1]) - rects[0].x, 4 * rects[0].width, 0.5);
  EXPECT_THAT(html, HasSubstr(">4 ms</text>"));
  EXPECT_THAT(html, HasSubstr("all of it</li>"));
}

TEST(BarChart, TheLegendHasWhatIsDrawn) {
  const std::string html = Draw({.title = "t", .parts = {"seen", "unseen"}, .bars = {{"one", {1, 0}}}});
  EXPECT_THAT(html, HasSubstr("seen</li>"));
  EXPECT_THAT(html, Not(HasSubstr("unseen")));
}

TEST(BarChart, NothingAndNonsenseAreNoBars) {
  EXPECT_THAT(Draw({.title = "t"}), HasSubstr("There is nothing to draw."));
  EXPECT_THAT(Draw({.title = "t", .parts = {"a"}, .bars = {{"one", {0}}}}), HasSubstr("There is nothing to draw."));
  const std::string html = Draw({.title = "t", .parts = {"a", "b"}, .bars = {{"<one>", {std::nan(""), 1, 5}}}});
  EXPECT_EQ(RectsOf(html).size(), 1u);
  EXPECT_THAT(html, HasSubstr("&lt;one&gt;"));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
}

TEST(BarChart, LongNamesAreShortened) {
  const std::string html = Draw({.title = "t", .parts = {"a"}, .bars = {{std::string(300, 'x'), {1}}}});
  EXPECT_THAT(html, HasSubstr("xxx...</text>"));
  EXPECT_GT(RectsOf(html)[0].width, 400);
}

}  // namespace
}  // namespace lockstep::launch
