// Stacked horizontal bars as inline SVG: what a few quantities are made of. Colours and fonts are classes of
// page_style.h, as a line chart's are (chart.h).
#pragma once

#include <string>
#include <vector>

#include "launch/page/html_writer.h"

namespace lockstep::launch {

struct StackedBars {
  struct Bar {
    std::string label;
    std::vector<double> values;  ///< of each part, at least 0, in `unit`; not finite ones count as 0
    double whole = 0;  ///< what the parts are of: a mark across the bar, and the number behind it; 0: their sum
  };
  std::string title, note = "";  ///< the note stands below, in small letters
  std::string unit = "";
  std::vector<std::string> parts = {};  ///< from left to right, at most eight
  std::string whole_name = "";          ///< of the marks, in the legend
  std::vector<Bar> bars = {};           ///< from top to bottom
  int width = 960;                      ///< pixels where there is room
};

/// A <figure>. Where nothing can be drawn it says so. Parts that are 0 in every bar are not in the legend.
void DrawBars(const StackedBars& chart, HtmlWriter& html);

}  // namespace lockstep::launch
