#include "trainer/records/run_folder.h"

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::records {

using nlohmann::json;

std::string RunFolder::checkpoint(uint64_t step) const { return checkpoints() + "/" + checkpoint::FolderName(step); }

void RunFolder::Create() {
  try {
    files_.CreateFolders(checkpoints());
    files_.CreateFolders(path_ + "/logs");
    const std::string probe = path_ + "/.probe";
    WriteFileAtomically(files_, probe, "lockstep\n");
    files_.RemoveAll(probe);
  } catch (const Error& error) {
    throw Error(ErrorKind::kUsage, fmt::format("this run's folder can't be written: {}", error.what()),
                "--out " + path_, "give another folder with --out");
  }
}

std::string RunFolder::MoveAside() {
  if (!files_.Exists(path_)) return "";
  std::string to = path_ + ".old";
  for (int n = 2; files_.Exists(to); ++n) to = path_ + ".old-" + std::to_string(n);
  files_.Rename(path_, to);
  return to;
}

std::optional<RunFolder::Attempt> RunFolder::LastAttempt() {
  const std::string path = path_ + "/attempts.jsonl";
  if (!files_.Exists(path)) return std::nullopt;
  std::optional<Attempt> last;
  std::istringstream lines(ReadWholeFile(files_, path));
  for (std::string line; std::getline(lines, line);) {
    const json row = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!row.is_object()) continue;
    last = Attempt{row.value("attempt", 0u),    row.value("host", ""),
                   row.value("ranks", 0),       row.value("from_step", uint64_t{0}),
                   row.value("build_hash", ""), row.value("numerics", std::map<std::string, std::string>())};
  }
  return last;
}

uint32_t RunFolder::BeginAttempt(Attempt attempt) {
  const std::string path = path_ + "/attempts.jsonl";
  const std::optional<Attempt> last = LastAttempt();
  attempt.number = last ? last->number + 1 : 1;
  const json row = {{"attempt", attempt.number},        {"host", attempt.host},
                    {"ranks", attempt.ranks},           {"from_step", attempt.from_step},
                    {"build_hash", attempt.build_hash}, {"numerics", attempt.numerics},
                    {"time", std::time(nullptr)}};
  const std::string before = files_.Exists(path) ? ReadWholeFile(files_, path) : "";
  WriteFileAtomically(files_, path, before + row.dump() + "\n");
  return attempt.number;
}

void RunFolder::DiscardMetricsAfter(uint64_t step, bool evaluated) {
  if (!files_.Exists(metrics())) return;
  std::string kept, discarded;
  const std::string all = ReadWholeFile(files_, metrics());
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);) {
    const json row = json::parse(line, nullptr, /*allow_exceptions=*/false);
    const uint64_t at = row.is_object() ? row.value("step", uint64_t{0}) : step + 1;
    const bool keep = at < step || (at == step && (evaluated || !row.contains("split")));
    (keep ? kept : discarded) += line + "\n";
  }
  if (!discarded.empty()) {
    const std::string aside = path_ + "/metrics.discarded.jsonl";
    const std::string before = files_.Exists(aside) ? ReadWholeFile(files_, aside) : "";
    WriteFileAtomically(files_, aside, before + discarded);
  }
  if (kept != all) WriteFileAtomically(files_, metrics(), kept);
}

void RunFolder::WriteEnding(const Ending& ending) {
  const json object = {{"attempt", ending.attempt}, {"exit_code", ending.exit_code}, {"message", ending.message},
                       {"where", ending.where},     {"step", ending.step},           {"time", std::time(nullptr)}};
  try {
    WriteFileAtomically(files_, path_ + "/verdict.json", object.dump(2) + "\n");
  } catch (const Error&) {
    // What ended the run may be this very disk.
  }
}

void RunFolder::WriteDone(const Done& done) {
  const json object = {{"line", done.line}, {"identity_hash", done.identity_hash}, {"step", done.step}};
  WriteFileAtomically(files_, path_ + "/done.json", object.dump(2) + "\n");
}

std::optional<RunFolder::Done> RunFolder::ReadDone() {
  const std::string path = path_ + "/done.json";
  if (!files_.Exists(path)) return std::nullopt;
  const json object = json::parse(ReadWholeFile(files_, path), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  return Done{object.value("line", ""), object.value("identity_hash", ""), object.value("step", uint64_t{0})};
}

}  // namespace lockstep::records
