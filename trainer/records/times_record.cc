#include "trainer/records/times_record.h"

#include "base/json_fields.h"

namespace lockstep::records {
namespace {

constexpr int kVersion = 1;

std::vector<double> NumbersOf(const Json& list) {
  std::vector<double> numbers;
  if (!list.is_array()) return numbers;
  for (const Json& value : list)
    if (value.is_number()) numbers.push_back(value.get<double>());
  return numbers;
}

RankTimes ParseRank(const Json& object) {
  RankTimes rank{.host = TextOr(object, "host"),
                 .lanes = NumberOr(object, "lanes"),
                 .slowest = FieldOr<uint64_t>(object, "slowest", 0),
                 .sent_bytes = FieldOr<uint64_t>(object, "sent_bytes", 0)};
  if (!object.is_object() || !object.contains("phases") || !object["phases"].is_object()) return rank;
  for (const auto& item : object["phases"].items())
    if (item.value().is_number()) rank.phases[item.key()] = item.value().get<double>();
  return rank;
}

}  // namespace

std::string FormatTimes(const TimesRecord& times) {
  Json ranks = Json::array();
  for (const RankTimes& rank : times.ranks)
    ranks.push_back({{"host", rank.host},
                     {"phases", rank.phases},
                     {"lanes", rank.lanes},
                     {"slowest", rank.slowest},
                     {"sent_bytes", rank.sent_bytes}});
  const Json object = {{"version", kVersion},
                       {"attempt", times.attempt},
                       {"first_step", times.first_step},
                       {"steps", times.steps},
                       {"seconds", times.seconds},
                       {"samples", times.samples},
                       {"step_seconds", times.step_seconds},
                       {"ranks", ranks}};
  return DumpJson(object) + "\n";
}

std::optional<TimesRecord> ParseTimes(std::string_view text) {
  const Json object = ParseJsonObject(text);
  if (!object.is_object() || FieldOr<int>(object, "version", 0) != kVersion) return std::nullopt;
  TimesRecord times{.attempt = FieldOr<uint32_t>(object, "attempt", 0),
                    .first_step = FieldOr<uint64_t>(object, "first_step", 0),
                    .seconds = NumberOr(object, "seconds"),
                    .samples = FieldOr<uint64_t>(object, "samples", 0),
                    .step_seconds = NumbersOf(object.value("step_seconds", Json())),
                    .ranks = {},
                    .steps = FieldOr<uint64_t>(object, "steps", 0)};
  if (const Json ranks = object.value("ranks", Json()); ranks.is_array())
    for (const Json& rank : ranks) times.ranks.push_back(ParseRank(rank));
  return times;
}

}  // namespace lockstep::records
