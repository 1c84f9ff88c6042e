#include "trainer/records/profile_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "base/error.h"
#include "base/json_fields.h"

namespace lockstep::records {
namespace {

using profile::Event;
using profile::What;

constexpr int kVersion = 1;
constexpr int kNumbersOfEvent = 7;
constexpr int kMostRanks = 100'000;
constexpr int64_t kLongest = int64_t{1} << 53;  ///< ns: a hundred days

Json ClockJson(const ClockReading& reading) {
  return {{"at_ns", reading.at_ns}, {"offset_ns", reading.offset_ns}, {"error_ns", reading.error_ns}};
}

Json ProgramJson(const ProfiledProgram& program) {
  Json ops = Json::array();
  for (const ProfiledOp& op : program.ops)
    ops.push_back({{"kind", op.kind}, {"name", op.name}, {"flops", op.flops}, {"bytes", op.bytes}});
  return {{"forward_ops", program.forward_ops}, {"ops", ops}};
}

int64_t OriginOf(const RankProfile& profile) {
  int64_t origin = std::numeric_limits<int64_t>::max();
  for (const ProfiledThread& thread : profile.threads)
    for (const Event& event : thread.events) origin = std::min(origin, event.begin_ns);
  return origin == std::numeric_limits<int64_t>::max() ? profile.before.at_ns : origin;
}

// By hand: there may be a million events.
void AppendEvents(const ProfiledThread& thread, int64_t origin, std::string& text) {
  const char* separator = "\n";
  for (const Event& event : thread.events) {
    fmt::format_to(std::back_inserter(text), "{}[{},{},{},{},{},{},{}]", separator, static_cast<int>(event.what),
                   event.begin_ns - origin, event.end_ns - event.begin_ns, event.step, event.lane, event.number,
                   event.program);
    separator = ",\n";
  }
}

class Parser {
 public:
  explicit Parser(const std::string& where)
      : damaged_([where](const std::string& what) {
          throw Error(ErrorKind::kUsage, fmt::format("is no profile of a rank: {}", what), where,
                      "lockstep profile makes one anew");
        }) {}

  RankProfile Parse(const Json& object) {
    const JsonFields fields(object, damaged_);
    if (fields.Get<int>("version") != kVersion) damaged_("it is of another version of lockstep");
    RankProfile profile;
    profile.attempt = fields.Get<uint32_t>("attempt");
    profile.rank = fields.Get<int>("rank");
    profile.world_size = fields.Get<int>("world_size");
    profile.host = fields.Get<std::string>("host");
    profile.device = fields.Get<std::string>("device");
    profile.lane_threads = fields.Get<int>("lane_threads");
    profile.first_step = fields.Get<uint64_t>("first_step");
    profile.steps = fields.Get<uint64_t>("steps");
    if (profile.rank < 0 || profile.world_size <= profile.rank || profile.world_size > kMostRanks ||
        profile.lane_threads < 1)
      damaged_("its rank is none");
    profile.before = ParseClock(object, "clock_before");
    profile.after = ParseClock(object, "clock_after");
    for (const Json& program : fields.List("programs")) profile.programs.push_back(ParseProgram(program));
    origin_ = Bounded(fields.Get<int64_t>("origin_ns"));
    for (const std::string& name : fields.Texts("whats")) whats_.push_back(profile::WhatOf(name));
    for (const Json& thread : fields.List("threads")) profile.threads.push_back(ParseThread(thread, profile.programs));
    return profile;
  }

 private:
  int64_t Bounded(int64_t value) const {
    if (value < -kLongest || value > kLongest) damaged_("a time is out of all bounds");
    return value;
  }

  ClockReading ParseClock(const Json& object, const char* name) const {
    if (!object.contains(name)) damaged_(fmt::format("\"{}\" is missing", name));
    const JsonFields fields(object.at(name), damaged_);
    return {Bounded(fields.Get<int64_t>("at_ns")), Bounded(fields.Get<int64_t>("offset_ns")),
            Bounded(fields.Get<int64_t>("error_ns"))};
  }

  ProfiledProgram ParseProgram(const Json& object) const {
    const JsonFields fields(object, damaged_);
    ProfiledProgram program{.forward_ops = fields.Get<uint64_t>("forward_ops"), .ops = {}};
    for (const Json& row : fields.List("ops")) {
      const JsonFields op(row, damaged_);
      program.ops.push_back(
          {op.Get<std::string>("kind"), op.Get<std::string>("name"), op.Get<double>("flops"), op.Get<double>("bytes")});
    }
    return program;
  }

  ProfiledThread ParseThread(const Json& object, const std::vector<ProfiledProgram>& programs) const {
    const JsonFields fields(object, damaged_);
    ProfiledThread thread{
        .name = fields.Get<std::string>("name"), .dropped = fields.Get<uint64_t>("dropped"), .events = {}};
    for (const Json& row : fields.List("events")) {
      if (!row.is_array() || row.size() != kNumbersOfEvent ||
          !std::all_of(row.begin(), row.end(), [](const Json& value) { return JsonIs<int64_t>(value); }))
        damaged_(fmt::format("an event is no row of {} numbers", kNumbersOfEvent));
      const auto what = static_cast<size_t>(row[0].get<int64_t>());
      if (what >= whats_.size()) damaged_("an event is of a kind that is not listed");
      if (!whats_[what]) continue;  // of a newer program
      thread.events.push_back(ParseEvent(row, *whats_[what], programs));
    }
    return thread;
  }

  Event ParseEvent(const Json& row, What what, const std::vector<ProfiledProgram>& programs) const {
    Event event;
    event.what = what;
    event.begin_ns = origin_ + Bounded(row[1].get<int64_t>());
    const int64_t length = Bounded(row[2].get<int64_t>());
    if (length < 0) damaged_("an event ends before it begins");
    event.end_ns = event.begin_ns + length;
    for (size_t i = 3; i < row.size(); ++i)
      if (!JsonIs<int32_t>(row[i])) damaged_("an event's step, lane or number is out of bounds");
    if (row[3].get<int32_t>() < 0) damaged_("an event has no step");
    event.step = row[3].get<uint64_t>();
    event.lane = row[4].get<int32_t>();
    event.number = row[5].get<int32_t>();
    event.program = row[6].get<int32_t>();
    const auto program = static_cast<size_t>(event.program);
    if (what == What::kOp &&
        (program >= programs.size() || static_cast<size_t>(event.number) >= programs[program].ops.size()))
      damaged_("an event is of an op that no program has");
    return event;
  }

  const JsonFields::Damaged damaged_;
  int64_t origin_ = 0;
  std::vector<std::optional<What>> whats_;
};

}  // namespace

std::string FormatProfile(const RankProfile& profile) {
  Json programs = Json::array(), whats = Json::array();
  for (const ProfiledProgram& program : profile.programs) programs.push_back(ProgramJson(program));
  for (int what = 0; what < profile::kWhats; ++what) whats.push_back(profile::Name(static_cast<What>(what)));
  const int64_t origin = OriginOf(profile);
  const Json object = {{"version", kVersion},
                       {"attempt", profile.attempt},
                       {"rank", profile.rank},
                       {"world_size", profile.world_size},
                       {"host", profile.host},
                       {"device", profile.device},
                       {"lane_threads", profile.lane_threads},
                       {"first_step", profile.first_step},
                       {"steps", profile.steps},
                       {"clock_before", ClockJson(profile.before)},
                       {"clock_after", ClockJson(profile.after)},
                       {"origin_ns", origin},
                       {"programs", programs},
                       {"whats", whats}};
  std::string text = DumpJson(object);
  text.back() = ',';  // the object goes on
  text += "\n\"threads\":[";
  const char* separator = "";
  for (const ProfiledThread& thread : profile.threads) {
    text += fmt::format("{}{{\"name\":{},\"dropped\":{},\"events\":[", separator, DumpJson(Json(thread.name)),
                        thread.dropped);
    AppendEvents(thread, origin, text);
    text += "]}";
    separator = ",\n";
  }
  return text + "]}\n";
}

RankProfile ParseProfile(std::string_view text, const std::string& where) {
  return Parser(where).Parse(ParseJsonObject(text));
}

}  // namespace lockstep::records
