#include "launch/report/report_page.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "base/build_info.h"
#include "launch/page/html_writer.h"
#include "launch/page/page.h"
#include "launch/report/comparison.h"
#include "launch/report/run_section.h"

namespace lockstep::launch {
namespace {

void DrawFooter(double now, HtmlWriter& html) {
  const auto seconds = static_cast<std::time_t>(now);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  html.Add("footer",
           fmt::format("lockstep {}, read on {:%Y-%m-%d %H:%M:%S} UTC. Long curves are thinned to the least and the "
                       "highest value of each two columns of pixels.",
                       Version(), parts));
}

}  // namespace

std::string ReportPage(std::vector<RunRecord> runs) {
  TellApart(runs);
  const std::string title = runs.size() == 1 ? runs.front().name : fmt::format("{} runs", runs.size());
  return Page(title, [&](HtmlWriter& html) {
    if (runs.size() == 1) {
      DrawWholeRun(runs.front(), html);
    } else {
      DrawComparison(runs, html);
      html.Add("h2", "Each run");
      for (const RunRecord& run : runs) DrawFoldedRun(run, html);
    }
    DrawFooter(runs.front().now, html);
  });
}

}  // namespace lockstep::launch
