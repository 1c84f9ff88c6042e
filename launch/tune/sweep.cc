#include "launch/tune/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/json_fields.h"
#include "launch/tune/tpe.h"

namespace lockstep::launch {
namespace {

constexpr std::array kStates = {Trial::State::kWaiting, Trial::State::kDone, Trial::State::kStopped,
                                Trial::State::kFailed};

std::vector<double> NumbersOf(const Json& object, const char* name) {
  std::vector<double> numbers;
  if (const auto found = object.find(name); found != object.end() && found->is_array())
    for (const Json& value : *found) numbers.push_back(value.is_number() ? value.get<double>() : std::nan(""));
  return numbers;
}

/// Whether `a` came to more than `b`: further, or to a better value there. Failed ones come last.
bool IsBetter(const SweepRequest& request, const Trial& a, const Trial& b) {
  const auto reached = [](const Trial& trial) {
    if (trial.state == Trial::State::kFailed) return std::pair(-1, 0.0);
    return std::pair(trial.state == Trial::State::kDone ? 1 << 20 : static_cast<int>(trial.rungs.size()), 0.0);
  };
  const auto value = [&](const Trial& trial) {
    if (trial.state == Trial::State::kDone) return request.falls ? trial.value : -trial.value;
    return trial.rungs.empty() ? 0 : trial.rungs.back();
  };
  if (reached(a).first != reached(b).first) return reached(a).first > reached(b).first;
  if (value(a) != value(b)) return value(a) < value(b);
  return a.number < b.number;
}

}  // namespace

const char* Name(SearchKind kind) {
  constexpr const char* kNames[] = {"grid", "random", "tpe"};
  return kNames[static_cast<int>(kind)];
}

const char* Name(Trial::State state) {
  constexpr const char* kNames[] = {"waiting", "done", "stopped", "failed"};
  return kNames[static_cast<int>(state)];
}

std::string FormatTrial(const Trial& trial) {
  return DumpJson(Json{{"trial", trial.number},
                       {"repeat_of", trial.repeat_of},
                       {"units", trial.units},
                       {"settings", trial.settings},
                       {"state", Name(trial.state)},
                       {"rungs", trial.rungs},
                       {"value", trial.value},
                       {"weights", trial.weights},
                       {"reason", trial.reason},
                       {"seconds", trial.seconds}}) +
         "\n";
}

std::vector<Trial> ParseTrials(const std::string& text) {
  std::vector<Trial> trials;
  for (const Json& row : ParseJsonRows(text)) {
    if (!row.contains("trial")) continue;
    Trial trial{.number = FieldOr<int>(row, "trial", 0),
                .repeat_of = FieldOr<int>(row, "repeat_of", -1),
                .units = NumbersOf(row, "units"),
                .settings = FieldOr<std::vector<std::string>>(row, "settings", {}),
                .rungs = NumbersOf(row, "rungs"),
                .value = NumberOr(row, "value"),
                .weights = TextOr(row, "weights"),
                .reason = TextOr(row, "reason"),
                .seconds = NumberOr(row, "seconds")};
    for (const Trial::State state : kStates)
      if (TextOr(row, "state") == Name(state)) trial.state = state;
    trials.push_back(std::move(trial));
  }
  return trials;
}

int TrialCount(const SweepRequest& request) {
  return request.search == SearchKind::kGrid ? static_cast<int>(GridOf(request.space, request.points).size())
                                             : request.trials;
}

bool CanBegin(const SweepRequest& request, int number, const std::vector<Trial>& trials) {
  if (request.search != SearchKind::kTpe) return true;
  const int known = number / request.generation * request.generation;
  return std::all_of(trials.begin(), trials.begin() + std::min<std::ptrdiff_t>(known, std::ssize(trials)),
                     [](const Trial& trial) { return trial.over(); }) &&
         std::ssize(trials) >= known;
}

Trial MakeTrial(const SweepRequest& request, int number, const std::vector<Trial>& earlier) {
  Trial trial{.number = number};
  switch (request.search) {
    case SearchKind::kGrid:
      trial.units = GridOf(request.space, request.points)[static_cast<size_t>(number)];
      break;
    case SearchKind::kRandom:
      trial.units = DrawAt(request.space, request.seed, number);
      break;
    case SearchKind::kTpe: {
      std::vector<const Trial*> known;
      for (int i = 0; i < number / request.generation * request.generation; ++i)
        known.push_back(&earlier[static_cast<size_t>(i)]);
      std::sort(known.begin(), known.end(), [&](const Trial* a, const Trial* b) { return IsBetter(request, *a, *b); });
      RankedTrials ranked;
      for (const Trial* one : known) ranked.units.push_back(one->units);
      trial.units = SuggestTpe(request.space, ranked, request.seed, number);
      break;
    }
  }
  trial.settings = SettingsAt(request.space, trial.units);
  return trial;
}

std::vector<int> Ranking(const SweepRequest& request, const std::vector<Trial>& trials) {
  std::vector<int> done;
  for (const Trial& trial : trials)
    if (trial.state == Trial::State::kDone && trial.repeat_of < 0 && std::isfinite(trial.value))
      done.push_back(trial.number);
  std::stable_sort(done.begin(), done.end(), [&](int a, int b) {
    return IsBetter(request, trials[static_cast<size_t>(a)], trials[static_cast<size_t>(b)]);
  });
  return done;
}

std::map<std::string, double> Importance(const SweepRequest& request, const std::vector<Trial>& trials) {
  constexpr size_t kFewest = 8, kGroups = 4;
  const std::vector<int> ranking = Ranking(request, trials);
  std::map<std::string, double> importance;
  if (ranking.size() < kFewest) return importance;
  const auto count = static_cast<double>(ranking.size());
  const double mean = (count - 1) / 2, variance = (count * count - 1) / 12;
  for (size_t d = 0; d < request.space.size(); ++d) {
    const Dimension& dimension = request.space[d];
    const size_t groups = dimension.continuous() ? kGroups : dimension.values.size();
    std::vector<double> sums(groups), sizes(groups);
    for (size_t place = 0; place < ranking.size(); ++place) {
      const double unit = trials[static_cast<size_t>(ranking[place])].units[d];
      const auto group = std::min(groups - 1, static_cast<size_t>(unit * static_cast<double>(groups)));
      sums[group] += static_cast<double>(place);
      sizes[group] += 1;
    }
    double between = 0;
    for (size_t g = 0; g < groups; ++g)
      if (sizes[g] > 0) between += sizes[g] * (sums[g] / sizes[g] - mean) * (sums[g] / sizes[g] - mean);
    importance[dimension.field] = between / count / variance;
  }
  return importance;
}

}  // namespace lockstep::launch
