#include "launch/scale/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/philox.h"

namespace lockstep::launch {
namespace {

Error Bad(const std::string& where, std::string message, std::string hint = "") {
  return Error(ErrorKind::kUsage, std::move(message), where, std::move(hint));
}

/// Parts of `text` between commas that stand in no brackets, braces or quotes.
std::vector<std::string> Parts(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '[' || c == '{' || c == '(') {
      ++depth;
    } else if (c == ']' || c == '}' || c == ')') {
      --depth;
    } else if (c == ',' && depth == 0) {
      parts.emplace_back();
      continue;
    }
    parts.back() += c;
  }
  return parts;
}

/// What may stand in the name of a folder.
std::string NameText(const std::string& text) {
  std::string name;
  for (const char c : text)
    name += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_' ? c : '_';
  return name;
}

double RateFactor(RateRule rule, double growth) {
  switch (rule) {
    case RateRule::kLinear:
      return growth;
    case RateRule::kSquareRoot:
      return std::sqrt(growth);
    case RateRule::kNone:
      return 1;
  }
  return 1;
}

/// The recipe with `growth` times the batch.
void Grow(const Recipe& recipe, const StudyRequest& request, double growth, StudyPoint& point) {
  point.settings.push_back(fmt::format("train.global_batch={}", point.global_batch));
  if (request.rate != RateRule::kNone && growth != 1)
    point.settings.push_back(fmt::format("optimizer.learning_rate={}",
                                         recipe.optimizer().learning_rate() * RateFactor(request.rate, growth)));
}

StudyPoint PointAt(const StudyRequest& request, const Recipe& recipe, int ranks, uint64_t batch) {
  const plan::TrainConfig& train = recipe.train();
  StudyPoint point{.name = fmt::format("r{}", ranks), .ranks = ranks, .global_batch = train.global_batch()};
  switch (request.mode) {
    case StudyMode::kStrong:
      if (ranks > static_cast<int>(train.lanes()))
        throw Bad("--ranks", fmt::format("{} ranks are more than the recipe's {} lanes", ranks, train.lanes()),
                  "raise train.lanes by --set (it changes the bits), or use --mode weak");
      break;
    case StudyMode::kWeak:
      point.global_batch = train.global_batch() * static_cast<uint64_t>(ranks);
      Grow(recipe, request, ranks, point);
      point.settings.push_back(fmt::format("train.lanes={}", train.lanes() * static_cast<uint64_t>(ranks)));
      break;
    case StudyMode::kThroughput:
      if (batch % train.lanes() != 0)
        throw Bad("--batches", fmt::format("a batch of {} can't be cut into {} lanes", batch, train.lanes()),
                  fmt::format("use multiples of {}", train.lanes()));
      point.name = fmt::format("b{}", batch);
      point.global_batch = batch;
      Grow(recipe, request, static_cast<double>(batch) / static_cast<double>(train.global_batch()), point);
      break;
  }
  return point;
}

StudyPoint PeerAt(const StudyRequest& request, const StudyPoint& point) {
  StudyPoint peer{.name = "peer-" + point.name,
                  .role = StudyPoint::Role::kPeer,
                  .ranks = point.ranks,
                  .global_batch = point.global_batch,
                  .command = request.against};
  for (const auto& [word, value] : {std::pair{std::string("{ranks}"), std::to_string(point.ranks)},
                                    {"{executors}", std::to_string(request.executors)},
                                    {"{steps}", std::to_string(request.steps)},
                                    {"{batch}", std::to_string(point.global_batch)}})
    for (size_t at; (at = peer.command.find(word)) != std::string::npos;) peer.command.replace(at, word.size(), value);
  return peer;
}

void AddBases(const StudyRequest& request, const Recipe& recipe, std::vector<StudyPoint>& points) {
  for (const int lanes : request.base_lanes) {
    if (static_cast<uint32_t>(lanes) == recipe.train().lanes()) continue;
    points.push_back({.name = fmt::format("base-lanes{}", lanes),
                      .role = StudyPoint::Role::kBase,
                      .ranks = 1,
                      .global_batch = recipe.train().global_batch(),
                      .settings = {fmt::format("train.lanes={}", lanes)}});
  }
}

}  // namespace

const char* Name(StudyMode mode) {
  constexpr const char* kNames[] = {"strong", "weak", "throughput"};
  return kNames[static_cast<int>(mode)];
}

const char* Name(RateRule rule) {
  constexpr const char* kNames[] = {"none", "linear", "sqrt"};
  return kNames[static_cast<int>(rule)];
}

Varied ParseVaried(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos)
    throw Bad("--vary", fmt::format("'{}' is not FIELD=A,B", text), "for example --vary train.lanes=4,8");
  Varied varied{text.substr(0, equals), Parts(text.substr(equals + 1))};
  if (std::any_of(varied.values.begin(), varied.values.end(), [](const std::string& value) { return value.empty(); }))
    throw Bad("--vary", fmt::format("'{}' has an empty value", text), "for example --vary train.lanes=4,8");
  return varied;
}

std::vector<std::vector<std::string>> CombinationsOf(const std::vector<Varied>& varied) {
  std::vector<std::vector<std::string>> all(1);
  for (const Varied& field : varied) {
    std::vector<std::vector<std::string>> longer;
    for (const std::vector<std::string>& settings : all)
      for (const std::string& value : field.values) {
        longer.push_back(settings);
        longer.back().push_back(field.field + "=" + value);
      }
    all = std::move(longer);
  }
  return all;
}

std::vector<int> ParseCounts(const std::string& text, const std::string& option) {
  std::set<int> counts;
  const auto number = [&](std::string_view part) {
    int value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || value < 1)
      throw Bad(option, fmt::format("'{}' is no whole number from 1 on", part), "for example 1,2,4,8 or 1-4");
    return value;
  };
  for (const std::string& part : Parts(text)) {
    const size_t dash = part.find('-', 1);
    if (dash == std::string::npos) {
      counts.insert(number(part));
      continue;
    }
    const int first = number(std::string_view(part).substr(0, dash)),
              last = number(std::string_view(part).substr(dash + 1));
    for (int value = first; value <= last; ++value) counts.insert(value);
  }
  return {counts.begin(), counts.end()};
}

std::vector<StudyPoint> PointsOf(const StudyRequest& request, const Recipe& recipe) {
  if (recipe.train().global_batch() == 0 && request.mode != StudyMode::kStrong)
    throw Bad("--mode", "the recipe's batches are of tokens (train.batch_tokens), which don't grow by samples",
              "use --mode strong");
  std::vector<StudyPoint> points;
  const bool by_batch = request.mode == StudyMode::kThroughput;
  const std::vector<uint64_t> batches = by_batch ? request.batches : std::vector<uint64_t>{0};
  if (by_batch && batches.empty())
    throw Bad("--batches", "is required with --mode throughput", "for example --batches 64,128,256");
  for (const std::vector<std::string>& variant : CombinationsOf(request.varied))
    for (const int ranks : request.ranks)
      for (const uint64_t batch : batches) {
        StudyPoint point = PointAt(request, recipe, ranks, batch);
        if (by_batch && request.ranks.size() > 1) point.name += fmt::format("-r{}", ranks);
        for (const std::string& setting : variant) {
          point.settings.push_back(setting);
          point.variant += (point.variant.empty() ? "" : " ") + setting;
          point.name += "-" + NameText(setting.substr(setting.rfind('.') + 1));
        }
        points.push_back(std::move(point));
      }
  const size_t own = points.size();
  StudyPoint twin = points.front();
  twin.name = "twin";
  twin.role = StudyPoint::Role::kTwin;
  points.push_back(std::move(twin));
  AddBases(request, recipe, points);
  if (!request.against.empty())
    for (size_t i = 0; i < own; ++i)
      if (points[i].variant == points.front().variant) points.push_back(PeerAt(request, points[i]));
  return points;
}

std::vector<StudyRun> OrderOf(size_t points, int repeats, uint64_t seed) {
  std::vector<StudyRun> runs;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    std::vector<size_t> order(points);
    std::iota(order.begin(), order.end(), size_t{0});
    const RandomStream stream{seed, static_cast<uint64_t>(repeat), 0, 0};
    for (size_t i = points; i > 1; --i) {
      const uint64_t place = uint64_t{stream.Bits(static_cast<uint32_t>(i))} * i >> 32;
      std::swap(order[i - 1], order[static_cast<size_t>(place)]);
    }
    for (const size_t point : order) runs.push_back({point, repeat});
  }
  return runs;
}

}  // namespace lockstep::launch
