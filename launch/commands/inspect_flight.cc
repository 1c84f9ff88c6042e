#include "launch/commands/inspect_flight.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/json_fields.h"
#include "base/terminal.h"
#include "comm/diagnosis.h"
#include "comm/flight_alignment.h"
#include "comm/flight_file.h"

namespace lockstep::launch {
namespace {

using comm::AlignedCollective;
using comm::FlightRecord;
using comm::Status;
using Json = nlohmann::ordered_json;
using Part = AlignedCollective::Part;

/// More ranks than this get a summary instead of a column each.
constexpr size_t kColumns = 8;

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

bool IsRecordName(const std::string& name) { return name.starts_with("rank-") && name.ends_with(".pb"); }

/// The folder PATH/attempt-N with the highest N; empty where there is none.
std::string NewestAttempt(FileSystem& files, const std::string& path) {
  int newest = 0;
  for (const std::string& name : files.List(path)) {
    if (name.starts_with("attempt-")) newest = std::max(newest, std::atoi(name.c_str() + 8));
  }
  return newest > 0 ? fmt::format("{}/attempt-{}", path, newest) : "";
}

bool HasRecords(FileSystem& files, const std::string& path) {
  if (!files.Exists(path + "/.")) return false;  // there is no such folder
  const std::vector<std::string> names = files.List(path);
  return std::any_of(names.begin(), names.end(), IsRecordName) || !NewestAttempt(files, path).empty();
}

/// The folder of a run's flight records, whether it is there or not.
bool IsRunsFlightFolder(FileSystem& files, const std::string& path) {
  std::filesystem::path folder = std::filesystem::path(path).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  return folder.filename() == "flight" && files.Exists(folder.parent_path() / "recipe.textproto");
}

std::string StatusText(const Status& status) {
  std::string text(Name(status.phase()));
  if (status.has_step()) text += fmt::format(" in step {}", status.step());
  text += fmt::format(" for {}", comm::SecondsText(status.phase_seconds()));
  const char* states[] = {"has begun", "waits in", "has left"};
  if (status.collective() > 0)
    text += fmt::format("; {} {} {} since {}", states[std::clamp<int>(status.state(), 0, 2)], Name(status.kind()),
                        status.collective(), comm::SecondsText(status.collective_seconds()));
  if (!status.waiting_for().empty())
    text += fmt::format("; waiting for {} for {}", status.waiting_for(), comm::SecondsText(status.waiting_seconds()));
  return text + fmt::format("; last progress {} ago", comm::SecondsText(status.progress_seconds()));
}

std::vector<int> RanksThat(const std::vector<FlightRecord>& records, const AlignedCollective& collective,
                           bool (*fits)(const AlignedCollective::Rank&)) {
  std::vector<int> ranks;
  for (size_t i = 0; i < records.size(); ++i)
    if (fits(collective.ranks[i])) ranks.push_back(records[i].rank());
  return ranks;
}

bool IsMissing(const AlignedCollective::Rank& rank) { return rank.part == Part::kMissing; }
bool IsBegun(const AlignedCollective::Rank& rank) { return rank.part == Part::kBegun; }
bool Differs(const AlignedCollective::Rank& rank) { return rank.differs; }

std::string Cell(const AlignedCollective::Rank& rank) {
  switch (rank.part) {
    case Part::kForgotten:
      return "?";
    case Part::kMissing:
      return "-";
    case Part::kBegun:
      return "begun";
    case Part::kEntered:
      break;
  }
  return fmt::format("{:+.3f}{}", rank.entered, rank.seconds < 0 ? "*" : " ");
}

/// "last rank 3 +0.120".
std::string Summary(const std::vector<FlightRecord>& records, const AlignedCollective& collective) {
  const auto later = [](const AlignedCollective::Rank& a, const AlignedCollective::Rank& b) {
    return (a.part == Part::kEntered ? a.entered : -1) < (b.part == Part::kEntered ? b.entered : -1);
  };
  const auto last = std::max_element(collective.ranks.begin(), collective.ranks.end(), later);
  if (last->part != Part::kEntered) return "";
  return fmt::format("last rank {} {:+.3f}", records[static_cast<size_t>(last - collective.ranks.begin())].rank(),
                     last->entered);
}

/// Who is not in it, or came with something else.
std::string Remarks(const std::vector<FlightRecord>& records, const AlignedCollective& collective) {
  std::string text;
  const auto remark = [&](const char* what, const std::vector<int>& ranks) {
    if (!ranks.empty()) text += fmt::format("  {} {}", what, comm::RankRanges(ranks));
  };
  remark("missing:", RanksThat(records, collective, IsMissing));
  remark("not entered:", RanksThat(records, collective, IsBegun));
  for (size_t i = 0; i < records.size(); ++i) {
    const AlignedCollective::Rank& rank = collective.ranks[i];
    if (rank.differs) text += fmt::format("  rank {}: {} of {} bytes", records[i].rank(), Name(rank.kind), rank.bytes);
  }
  return text;
}

void PrintTable(const std::vector<FlightRecord>& records, const std::vector<AlignedCollective>& collectives) {
  Print(
      fmt::format("the last {} collectives: seconds after the first rank entered, * where it never left\n{:>10}  "
                  "{:<18}  {:>8}  {:>11}",
                  collectives.size(), "number", "kind", "step", "bytes"));
  const bool columns = records.size() <= kColumns;
  for (size_t i = 0; i < records.size() && columns; ++i)
    Print(fmt::format("  {:>9}", fmt::format("rank {} ", records[i].rank())));
  Print("\n");
  for (const AlignedCollective& collective : collectives) {
    std::string line = fmt::format("{:>10}  {:<18}  {:>8}  {:>11}", collective.number, Name(collective.kind),
                                   collective.step ? std::to_string(*collective.step) : "", collective.bytes);
    for (const AlignedCollective::Rank& rank : collective.ranks)
      if (columns) line += fmt::format("  {:>9}", Cell(rank));
    if (!columns) line += "  " + Summary(records, collective);
    Print(line + Remarks(records, collective) + "\n");
  }
}

void PrintRanks(const std::vector<FlightRecord>& records) {
  Print("\nranks, when they wrote their records\n");
  for (const FlightRecord& record : records) {
    Print(fmt::format("  {:>4}  {:<12}  {}\n", record.rank(), record.host(), StatusText(record.status())));
    if (!record.ending().empty()) Print(fmt::format("        ended: {}\n", record.ending()));
  }
  std::vector<int> missing;
  size_t next = 0;
  for (int rank = 0; rank < records.front().world_size(); ++rank) {
    if (next < records.size() && records[next].rank() == rank)
      ++next;
    else
      missing.push_back(rank);
  }
  if (!missing.empty())
    Print(fmt::format("  no record of {} {}\n", missing.size() == 1 ? "rank" : "ranks", comm::RankRanges(missing)));
}

Json StatusJson(const Status& status) {
  Json json = {{"phase", Name(status.phase())}, {"phase_seconds", status.phase_seconds()}};
  if (status.has_step()) json["step"] = status.step();
  json["collective"] = status.collective();
  json["kind"] = Name(status.kind());
  json["bytes"] = status.bytes();
  json["state"] = comm::CollectiveState::Value_Name(status.state());
  json["waiting_for"] = status.waiting_for();
  json["waiting_seconds"] = status.waiting_seconds();
  json["progress_seconds"] = status.progress_seconds();
  return json;
}

Json RecordJson(const FlightRecord& record) {
  Json json = {{"rank", record.rank()},
               {"host", record.host()},
               {"pid", record.pid()},
               {"time", record.time()},
               {"ending", record.ending()},
               {"earlier_events", record.earlier_events()},
               {"status", StatusJson(record.status())}};
  json["events"] = Json::array();
  for (const comm::Event& event : record.events()) {
    Json one = {{"time_ns", event.time_ns()}, {"type", comm::Event::Type_Name(event.type())}};
    if (event.has_step()) one["step"] = event.step();
    if (event.type() == comm::Event::PHASE || event.type() == comm::Event::EXECUTOR)
      one["phase"] = event.idle() ? "" : Name(event.phase());
    if (event.type() == comm::Event::EXECUTOR) one["executor"] = event.executor();
    if (event.collective() > 0) {
      one["collective"] = event.collective();
      one["kind"] = Name(event.kind());
      one["bytes"] = event.bytes();
    }
    if (!event.text().empty()) one["text"] = event.text();
    json["events"].push_back(std::move(one));
  }
  return json;
}

Json CollectiveJson(const std::vector<FlightRecord>& records, const AlignedCollective& collective) {
  Json json = {{"number", collective.number}, {"kind", Name(collective.kind)}, {"bytes", collective.bytes}};
  if (collective.step) json["step"] = *collective.step;
  json["entered"] = Json::object();
  for (size_t i = 0; i < records.size(); ++i)
    if (collective.ranks[i].part == Part::kEntered)
      json["entered"][std::to_string(records[i].rank())] = collective.ranks[i].entered;
  json["missing"] = RanksThat(records, collective, IsMissing);
  json["not_entered"] = RanksThat(records, collective, IsBegun);
  json["differs"] = RanksThat(records, collective, Differs);
  return json;
}

}  // namespace

bool IsFlightPath(FileSystem& files, const std::string& path) {
  if (path.ends_with(".pb")) return files.Exists(path);
  return HasRecords(files, path) || IsRunsFlightFolder(files, path);
}

int InspectFlight(FileSystem& files, const std::string& path, size_t last, bool json) {
  if (!path.ends_with(".pb") && !HasRecords(files, path))
    throw Error(ErrorKind::kUsage, "no flight records", path,
                "ranks write them where an attempt ends with an error; verdict.json and logs/ may tell more");
  const std::string newest = path.ends_with(".pb") ? "" : NewestAttempt(files, path);
  std::vector<std::string> damaged;
  const std::vector<FlightRecord> records = comm::ReadFlightRecords(files, newest.empty() ? path : newest, &damaged);
  const std::vector<AlignedCollective> collectives = comm::AlignCollectives(records, last);
  for (const std::string& text : damaged) PrintLine("lockstep: warning: " + text);
  if (json) {
    Json all = {{"attempt", records.front().attempt()}, {"world_size", records.front().world_size()}};
    all["collectives"] = Json::array();
    for (const AlignedCollective& collective : collectives)
      all["collectives"].push_back(CollectiveJson(records, collective));
    all["records"] = Json::array();
    for (const FlightRecord& record : records) all["records"].push_back(RecordJson(record));
    Print(DumpJson(all, 2) + "\n");
  } else {
    Print(fmt::format("flight records of attempt {}, {} of {} ranks\n\n", records.front().attempt(), records.size(),
                      records.front().world_size()));
    PrintTable(records, collectives);
    PrintRanks(records);
  }
  return damaged.empty() ? 0 : ExitCodeOf(ErrorKind::kCheckpoint);
}

}  // namespace lockstep::launch
