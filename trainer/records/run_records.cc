#include "trainer/records/run_records.h"

#include <algorithm>

#include "base/json_fields.h"

namespace lockstep::records {
namespace {

/// In the place of an error's kind, for a run that is done.
constexpr char kDone[] = "done";

}  // namespace

std::string FormatAttempt(const AttemptStart& attempt, int64_t time) {
  Json row = {{"attempt", attempt.number},
              {"host", attempt.host},
              {"ranks", attempt.ranks},
              {"from_step", attempt.from_step},
              {"build_hash", attempt.build_hash},
              {"numerics", attempt.numerics},
              {"data", attempt.data},
              {"time", time}};
  if (!attempt.changed.empty()) row["changed"] = attempt.changed;
  return DumpJson(row) + "\n";
}

std::vector<AttemptStart> ParseAttempts(std::string_view text) {
  std::vector<AttemptStart> attempts;
  for (const Json& row : ParseJsonRows(text))
    attempts.push_back({FieldOr<uint32_t>(row, "attempt", 0), TextOr(row, "host"), FieldOr(row, "ranks", 0),
                        FieldOr<uint64_t>(row, "from_step", 0), TextOr(row, "build_hash"),
                        FieldOr<std::map<std::string, std::string>>(row, "numerics", {}),
                        FieldOr<std::map<std::string, std::string>>(row, "data", {}),
                        FieldOr<std::vector<std::string>>(row, "changed", {})});
  return attempts;
}

uint32_t LastAttemptNumber(std::string_view text) {
  auto last = static_cast<uint32_t>(std::count(text.begin(), text.end(), '\n'));
  for (const AttemptStart& attempt : ParseAttempts(text)) last = std::max(last, attempt.number);
  return last;
}

std::string FormatEnding(const AttemptEnding& ending, int64_t time) {
  return DumpJson(Json{{"attempt", ending.attempt},
                       {"kind", ending.kind ? InfoOf(*ending.kind).name : kDone},
                       {"exit_code", ending.exit_code},
                       {"message", ending.message},
                       {"where", ending.where},
                       {"step", ending.step},
                       {"time", time}},
                  2) +
         "\n";
}

std::optional<AttemptEnding> ParseEnding(std::string_view text) {
  const Json object = ParseJsonObject(text);
  constexpr int kNone = -1;
  AttemptEnding ending;
  ending.exit_code = FieldOr(object, "exit_code", kNone);
  if (ending.exit_code == kNone) return std::nullopt;
  ending.attempt = FieldOr<uint32_t>(object, "attempt", 0);
  ending.kind = ErrorKindNamed(TextOr(object, "kind"));
  if (!ending.kind) ending.kind = ErrorKindOfExitCode(ending.exit_code);
  ending.message = TextOr(object, "message");
  ending.where = TextOr(object, "where");
  ending.step = FieldOr<uint64_t>(object, "step", 0);
  ending.text = text;
  return ending;
}

std::string FormatDone(const RunDone& done) {
  return DumpJson(Json{{"line", done.line}, {"identity_hash", done.identity_hash}, {"step", done.step}}, 2) + "\n";
}

std::optional<RunDone> ParseDone(std::string_view text) {
  const Json object = ParseJsonObject(text);
  const RunDone done = {TextOr(object, "line"), TextOr(object, "identity_hash"), FieldOr<uint64_t>(object, "step", 0)};
  if (done.line.empty() || done.identity_hash.empty()) return std::nullopt;
  return done;
}

}  // namespace lockstep::records
