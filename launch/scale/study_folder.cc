#include "launch/scale/study_folder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/json_fields.h"

namespace lockstep::launch {
namespace {

constexpr int kVersion = 1;
constexpr std::array kModes = {StudyMode::kStrong, StudyMode::kWeak, StudyMode::kThroughput};
constexpr std::array kRules = {RateRule::kNone, RateRule::kLinear, RateRule::kSquareRoot};
constexpr std::array<std::pair<StudyPoint::Role, const char*>, 4> kRoles = {{{StudyPoint::Role::kPoint, "point"},
                                                                             {StudyPoint::Role::kTwin, "twin"},
                                                                             {StudyPoint::Role::kBase, "base"},
                                                                             {StudyPoint::Role::kPeer, "peer"}}};

const char* RoleName(StudyPoint::Role role) {
  return std::ranges::find(kRoles, role, &std::pair<StudyPoint::Role, const char*>::first)->second;
}

StudyPoint::Role RoleOf(const std::string& name) {
  for (const auto& [role, text] : kRoles)
    if (name == text) return role;
  return StudyPoint::Role::kPoint;
}

std::vector<std::string> TextsOr(const Json& object, const char* name) {
  return FieldOr<std::vector<std::string>>(object, name, {});
}

template <typename T>
std::vector<T> NumbersOr(const Json& object, const char* name) {
  std::vector<T> numbers;
  const auto found = object.find(name);
  if (found == object.end() || !found->is_array()) return numbers;
  for (const Json& value : *found)
    if (JsonIs<T>(value)) numbers.push_back(value.get<T>());
  return numbers;
}

Json RequestJson(const StudyRequest& request) {
  Json varied = Json::array();
  for (const Varied& field : request.varied) varied.push_back({{"field", field.field}, {"values", field.values}});
  return {{"mode", Name(request.mode)},
          {"ranks", request.ranks},
          {"batches", request.batches},
          {"rate", Name(request.rate)},
          {"varied", varied},
          {"base_lanes", request.base_lanes},
          {"against", request.against},
          {"repeats", request.repeats},
          {"steps", request.steps},
          {"seed", request.seed},
          {"executors", request.executors}};
}

StudyRequest RequestOf(const Json& object) {
  StudyRequest request;
  for (const StudyMode mode : kModes)
    if (TextOr(object, "mode") == Name(mode)) request.mode = mode;
  for (const RateRule rule : kRules)
    if (TextOr(object, "rate") == Name(rule)) request.rate = rule;
  request.ranks = NumbersOr<int>(object, "ranks");
  request.batches = NumbersOr<uint64_t>(object, "batches");
  request.base_lanes = NumbersOr<int>(object, "base_lanes");
  request.against = TextOr(object, "against");
  request.repeats = FieldOr<int>(object, "repeats", 0);
  request.steps = FieldOr<uint64_t>(object, "steps", 0);
  request.seed = FieldOr<uint64_t>(object, "seed", 0);
  request.executors = FieldOr<int>(object, "executors", 0);
  if (const auto varied = object.find("varied"); varied != object.end() && varied->is_array())
    for (const Json& field : *varied) request.varied.push_back({TextOr(field, "field"), TextsOr(field, "values")});
  return request;
}

Json PointJson(const StudyPoint& point) {
  return {{"name", point.name},          {"role", RoleName(point.role)}, {"ranks", point.ranks},
          {"batch", point.global_batch}, {"settings", point.settings},   {"variant", point.variant},
          {"command", point.command}};
}

StudyPoint PointOf(const Json& object) {
  return {.name = TextOr(object, "name"),
          .role = RoleOf(TextOr(object, "role")),
          .ranks = FieldOr<int>(object, "ranks", 1),
          .global_batch = FieldOr<uint64_t>(object, "batch", 0),
          .settings = TextsOr(object, "settings"),
          .variant = TextOr(object, "variant"),
          .command = TextOr(object, "command")};
}

records::RankTimes RankOf(const Json& object) {
  records::RankTimes rank{.host = TextOr(object, "host"),
                          .lanes = NumberOr(object, "lanes"),
                          .slowest = FieldOr<uint64_t>(object, "slowest", 0),
                          .sent_bytes = FieldOr<uint64_t>(object, "sent_bytes", 0)};
  if (const auto phases = object.find("phases"); phases != object.end() && phases->is_object())
    for (const auto& item : phases->items())
      if (item.value().is_number()) rank.phases[item.key()] = item.value().get<double>();
  return rank;
}

}  // namespace

std::string FormatResult(const RunResult& result) {
  Json ranks = Json::array();
  for (const records::RankTimes& rank : result.ranks)
    ranks.push_back({{"host", rank.host},
                     {"phases", rank.phases},
                     {"lanes", rank.lanes},
                     {"slowest", rank.slowest},
                     {"sent_bytes", rank.sent_bytes}});
  return DumpJson(Json{{"point", result.point},
                       {"repeat", result.repeat},
                       {"exit_code", result.exit_code},
                       {"reason", result.reason},
                       {"weights", result.weights},
                       {"seconds_per_step", result.seconds_per_step},
                       {"samples_per_s", result.samples_per_s},
                       {"joules_per_sample", result.joules_per_sample},
                       {"seconds", result.seconds},
                       {"target_seconds", result.target_seconds},
                       {"steps", result.steps},
                       {"ranks", ranks}}) +
         "\n";
}

std::vector<RunResult> ParseResults(const std::string& text) {
  std::vector<RunResult> results;
  for (const Json& row : ParseJsonRows(text)) {
    if (TextOr(row, "point").empty()) continue;
    RunResult result{.point = TextOr(row, "point"),
                     .repeat = FieldOr<int>(row, "repeat", 0),
                     .exit_code = FieldOr<int>(row, "exit_code", 1),
                     .reason = TextOr(row, "reason"),
                     .weights = TextOr(row, "weights"),
                     .seconds_per_step = NumberOr(row, "seconds_per_step"),
                     .samples_per_s = NumberOr(row, "samples_per_s"),
                     .joules_per_sample = NumberOr(row, "joules_per_sample"),
                     .seconds = NumberOr(row, "seconds"),
                     .target_seconds = NumberOr(row, "target_seconds"),
                     .steps = FieldOr<uint64_t>(row, "steps", 0),
                     .ranks = {}};
    if (const auto ranks = row.find("ranks"); ranks != row.end() && ranks->is_array())
      for (const Json& rank : *ranks)
        if (rank.is_object()) result.ranks.push_back(RankOf(rank));
    results.push_back(std::move(result));
  }
  return results;
}

std::string FormatFacts(const StudyFacts& facts) {
  Json limits = facts.hosts.empty() ? Json::object() : HostLimitsJson(facts.hosts);
  for (const auto& [name, value] : facts.limits) limits[name] = value;
  Json points = Json::array(), obstacles = Json::array();
  for (const StudyPoint& point : facts.points) points.push_back(PointJson(point));
  for (const Obstacle& obstacle : facts.obstacles)
    obstacles.push_back({{"what", obstacle.what}, {"remedy", obstacle.remedy}});
  return DumpJson(Json{{"version", kVersion},
                       {"recipe", facts.recipe},
                       {"settings", facts.settings},
                       {"name", facts.name},
                       {"command", facts.command},
                       {"build", facts.build},
                       {"host", facts.host},
                       {"cpu", facts.cpu},
                       {"request", RequestJson(facts.request)},
                       {"points", points},
                       {"obstacles", obstacles},
                       {"limits", limits},
                       {"parameters", facts.parameters},
                       {"flops_per_sample", facts.flops_per_sample},
                       {"samples_per_epoch", facts.samples_per_epoch},
                       {"target", facts.target}},
                  2) +
         "\n";
}

StudyFacts ParseFacts(const std::string& text, const std::string& path) {
  const Json object = ParseJsonObject(text);
  if (!object.is_object() || FieldOr<int>(object, "version", 0) != kVersion || !object["points"].is_array())
    throw Error(ErrorKind::kUsage, "it is no study of this version", path, "name the folder of a lockstep scale");
  StudyFacts facts{.recipe = TextOr(object, "recipe"),
                   .settings = TextsOr(object, "settings"),
                   .name = TextOr(object, "name"),
                   .command = TextOr(object, "command"),
                   .build = TextOr(object, "build"),
                   .host = TextOr(object, "host"),
                   .cpu = TextOr(object, "cpu"),
                   .request = RequestOf(object.value("request", Json::object())),
                   .points = {},
                   .obstacles = {},
                   .limits = {},
                   .hosts = {},
                   .parameters = NumberOr(object, "parameters"),
                   .flops_per_sample = NumberOr(object, "flops_per_sample"),
                   .samples_per_epoch = NumberOr(object, "samples_per_epoch"),
                   .target = TextOr(object, "target")};
  for (const Json& point : object["points"]) facts.points.push_back(PointOf(point));
  if (const Json obstacles = object.value("obstacles", Json()); obstacles.is_array())
    for (const Json& obstacle : obstacles)
      facts.obstacles.push_back({TextOr(obstacle, "what"), TextOr(obstacle, "remedy")});
  if (const Json limits = object.value("limits", Json()); limits.is_object()) {
    facts.hosts = ParseHostLimits(limits);
    for (const auto& item : limits.items())
      if (item.value().is_number()) facts.limits[item.key()] = item.value().get<double>();
  }
  return facts;
}

}  // namespace lockstep::launch
