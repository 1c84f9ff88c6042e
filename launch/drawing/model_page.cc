#include <fmt/format.h>

#include <algorithm>

#include "launch/drawing/model_rows.h"
#include "launch/page/page.h"

namespace lockstep::launch {
namespace {

// In pixels of the drawing.
constexpr int kRowHeight = 34, kBoxHeight = 24, kLane = 14, kTop = 6, kBoxWidth = 330, kTextGap = 12;

/// A result that is read further down than in the next row.
struct Way {
  size_t from, last;
  int lane = 0;
};

/// One way a row, down to its last reader, in lanes beside the boxes: the first that is free all along.
std::vector<Way> WaysOf(const std::vector<ModelRow>& rows) {
  std::vector<Way> ways;
  std::vector<size_t> free_from;  // by lane: the first row that it doesn't pass
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& readers = rows[i].readers;
    if (readers.empty() || readers.back() <= i + 1) continue;
    const auto lane = std::ranges::find_if(free_from, [&](size_t row) { return row <= i; });
    const auto index = static_cast<size_t>(lane - free_from.begin());
    if (lane == free_from.end()) free_from.push_back(0);
    free_from[index] = readers.back() + 1;
    ways.push_back({i, readers.back(), static_cast<int>(index)});
  }
  return ways;
}

int Middle(size_t row) { return kTop + static_cast<int>(row) * kRowHeight + kBoxHeight / 2; }

const char* ColourOf(const ModelRow& row) {
  if (row.kind == "input") return "f2";
  return row.parameters > 0 ? "f0" : "f5";
}

void DrawBox(const ModelRow& row, size_t index, int left, HtmlWriter& html) {
  const int top = Middle(index) - kBoxHeight / 2;
  html.AddEmpty("rect", {{"x", fmt::format("{}", left)},
                         {"y", fmt::format("{}", top)},
                         {"width", fmt::format("{}", kBoxWidth)},
                         {"height", fmt::format("{}", kBoxHeight)},
                         {"rx", "4"},
                         {"class", fmt::format("{} band", ColourOf(row))}});
  const std::string y = fmt::format("{}", Middle(index) + 4);
  html.Add("text", {{"x", fmt::format("{}", left + 8)}, {"y", y}, {"class", "ink"}}, row.name);
  std::string facts = row.kind + "  " + row.result;
  if (row.parameters > 0) facts += fmt::format("  {} parameters", row.parameters);
  html.Add("text", {{"x", fmt::format("{}", left + kBoxWidth + kTextGap)}, {"y", y}}, facts);
}

void DrawWay(const Way& way, const ModelRow& row, int left, HtmlWriter& html) {
  const int x = left - kLane * (way.lane + 1);
  std::string path = fmt::format("M{} {}H{}V{}H{}", left, Middle(way.from), x, Middle(way.last), left);
  for (const size_t reader : row.readers)
    if (reader > way.from + 1 && reader != way.last) path += fmt::format("M{} {}H{}", x, Middle(reader), left);
  html.AddEmpty("path", {{"d", path}, {"class", fmt::format("line c{}", way.lane % 8)}});
  for (const size_t reader : row.readers) {
    if (reader <= way.from + 1) continue;
    const int y = Middle(reader);
    html.AddEmpty("path",
                  {{"d", fmt::format("M{} {}l-6 -4v8z", left, y)}, {"class", fmt::format("f{}", way.lane % 8)}});
  }
}

void DrawModel(const std::vector<ModelRow>& rows, HtmlWriter& html) {
  const std::vector<Way> ways = WaysOf(rows);
  int lanes = 0;
  for (const Way& way : ways) lanes = std::max(lanes, way.lane + 1);
  const int left = kLane * lanes + 10, width = left + kBoxWidth + 420;
  const int height = kTop + static_cast<int>(rows.size()) * kRowHeight;
  const auto scroll = html.Open("div", {{"class", "scroll chart"}});
  const auto svg = html.Open("svg", {{"viewBox", fmt::format("0 0 {} {}", width, height)},
                                     {"role", "img"},
                                     {"aria-label", "The model's ops from top to bottom"}});
  for (const Way& way : ways) DrawWay(way, rows[way.from], left, html);
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool next = i + 1 < rows.size() && std::ranges::find(rows[i].readers, i + 1) != rows[i].readers.end();
    if (next)
      html.AddEmpty("path", {{"d", fmt::format("M{0} {1}V{2}m-4 -5l4 5l4 -5", left + 40, Middle(i) + kBoxHeight / 2,
                                               Middle(i + 1) - kBoxHeight / 2)},
                             {"class", "axis"}});
    DrawBox(rows[i], i, left, html);
  }
}

}  // namespace

std::string ModelPage(const std::string& title, const std::vector<ModelRow>& rows) {
  return Page(title, [&](HtmlWriter& html) {
    int64_t parameters = 0;
    for (const ModelRow& row : rows) parameters += row.parameters;
    html.Add("p", {{"class", "soft"}},
             fmt::format("{} parameters. Shapes are those of one lane's batch. Lines at the side lead to what reads a "
                         "result further down.",
                         parameters));
    DrawModel(rows, html);
  });
}

}  // namespace lockstep::launch
