#include "launch/supervise/goodput.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace lockstep::launch {
namespace {

struct Loss {
  std::string name;
  int times = 0;
  double node_seconds = 0;
};

std::string Plural(uint64_t count, const char* word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

/// Causes in the order in which they came up.
std::vector<Loss> Losses(const std::vector<StartCost>& starts) {
  std::vector<Loss> losses;
  for (const StartCost& start : starts) {
    if (start.cause.empty()) continue;
    const std::string name = start.host.empty() ? start.cause : start.cause + " on " + start.host;
    auto loss = std::find_if(losses.begin(), losses.end(), [&](const Loss& other) { return other.name == name; });
    if (loss == losses.end()) loss = losses.insert(losses.end(), Loss{name});
    ++loss->times;
    loss->node_seconds += LostNodeSeconds(start);
  }
  return losses;
}

}  // namespace

double LostNodeSeconds(const StartCost& start) {
  return start.cause.empty() ? 0 : start.nodes * (start.lost_seconds + start.waited);
}

std::string GoodputLine(uint64_t steps, const std::vector<StartCost>& starts) {
  double all = 0, lost = 0;
  for (const StartCost& start : starts) {
    all += start.nodes * (start.seconds + start.waited);
    lost += LostNodeSeconds(start);
  }
  std::vector<std::string> causes;
  for (const Loss& loss : Losses(starts))
    causes.push_back(fmt::format("{} {}: {:.1f}", loss.times, loss.name, loss.node_seconds));
  std::string text = fmt::format("goodput: {} in {}, {}", Plural(steps, "step"), Plural(starts.size(), "start"),
                                 Plural(starts.empty() ? 0 : starts.size() - 1, "restart"));
  if (!causes.empty()) text += fmt::format(" ({})", fmt::join(causes, ", "));
  return text + fmt::format(", {:.1f} of {:.1f} node-seconds lost", lost, all);
}

}  // namespace lockstep::launch
