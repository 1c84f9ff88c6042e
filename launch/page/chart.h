// Line charts as inline SVG, with axes, a legend and what is to be marked on them; they know nothing of runs. Colours
// and fonts are classes of page_style.h, so that a chart is readable in light, in dark and on paper.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/page/html_writer.h"

namespace lockstep::launch {

struct Point {
  double x = 0, y = 0;

  friend bool operator==(const Point&, const Point&) = default;
};

struct Series {
  std::string name = "";  ///< in the legend; empty: not there
  std::vector<Point> points =
      {};              ///< by ascending x; where y is not finite, or not > 0 on a logarithmic axis, is a gap
  int colour = 0;      ///< counted on from the eighth in other dashes, so that 24 can be told apart
  bool faint = false;  ///< behind the others: what they are the mean of
  bool dots = false;   ///< each point counts, and is marked where there are few
  bool line = true;    ///< false: dots alone, however many
};

/// Between a lower and an upper line: a spread.
struct Band {
  struct Piece {
    double x, low, high;
  };
  std::string name;
  std::vector<Piece> pieces;  ///< by ascending x
  int colour = 0;
};

/// A part of the x axis, shaded.
struct Shade {
  double begin = 0, end = 0;
  std::string label;
};

/// A line across the chart at one x.
struct Mark {
  double x = 0;
  std::string label;
  std::string high = "";  ///< below the label: what its upper end stands for
};

/// What stands below the x axis at one x.
struct XName {
  double x = 0;
  std::string name;
};

/// What an x axis shows at least.
struct XRange {
  double low = 0, high = 1;
};

struct Chart {
  std::string title, note = "";  ///< the note stands below, in small letters
  std::string x_label = "", y_label = "";
  int width = 960, height = 340;  ///< pixels where there is room; wide ones scroll where there isn't
  bool log_y = false, y_from_zero = false, whole_x = true;
  bool log_x = false;                  ///< where nothing is > 0, it is linear all the same
  bool y_numbers = true;               ///< false: neither numbers nor lines beside the y axis
  std::optional<XRange> x_range = {};  ///< with a little room at both ends; none: what the series and bands have
  std::vector<XName> x_names = {};     ///< by ascending x, in the place of numbers; where they are close, not all
  std::vector<Shade> shades = {};
  std::vector<Band> bands = {};
  std::vector<Series> series = {};
  std::vector<Mark> marks = {};
  std::vector<double> ticks = {};  ///< small triangles on the x axis
  std::string ticks_name = "";     ///< of these, in the legend
};

/// A <figure>. Where nothing can be drawn it says so.
void DrawChart(const Chart& chart, HtmlWriter& html);

/// The points that show in so many columns of pixels from `begin` to `end` as all of them would: of each column the
/// first, the least, the highest and the last one, and one of each gap.
std::vector<Point> ThinOut(const std::vector<Point>& points, double begin, double end, int columns);

}  // namespace lockstep::launch
