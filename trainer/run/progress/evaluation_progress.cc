#include "trainer/run/progress/evaluation_progress.h"

#include <fmt/format.h>

#include <utility>

#include "base/terminal.h"

namespace lockstep::run {

using std::chrono::steady_clock;

void EvaluationProgress::Show(const std::string& split, double share) {
  if (options_.quiet) return;
  const auto now = steady_clock::now();
  if (!std::exchange(running_, true)) begun_ = shown_ = now;
  const double since = std::chrono::duration<double>(now - shown_).count(),
               all = std::chrono::duration<double>(now - begun_).count();
  if (since < (options_.terminal ? 0.5 : 5.0)) return;
  shown_ = now;
  const std::string left = share > 0 ? fmt::format(", {:.0f} s left", all / share - all) : "";
  const std::string text = fmt::format("evaluating {}: {:.0f}%{}", split, 100 * share, left);
  if (!options_.terminal) return PrintLine(text);
  ShowStatus(text.substr(0, static_cast<size_t>(TerminalColumns() - 1)));
  drawn_ = true;
}

void EvaluationProgress::End() {
  running_ = false;
  if (std::exchange(drawn_, false)) ClearStatus();
}

}  // namespace lockstep::run
