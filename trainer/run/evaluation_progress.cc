#include "trainer/run/evaluation_progress.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

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
  std::fprintf(stderr, options_.terminal ? "\r%s\033[K" : "%s\n", text.c_str());
  std::fflush(stderr);
  drawn_ = options_.terminal;
}

void EvaluationProgress::End() {
  running_ = false;
  if (std::exchange(drawn_, false)) std::fputs("\r\033[K", stderr);
}

}  // namespace lockstep::run
