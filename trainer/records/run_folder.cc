#include "trainer/records/run_folder.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <memory>
#include <span>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/files/atomic_write.h"
#include "base/json_fields.h"
#include "base/log.h"
#include "trainer/checkpoint/checkpoint.h"

namespace lockstep::records {

namespace {

/// What a run writes into its folder itself. That which begins with a dot is there for a moment only.
constexpr const char* kOwnFiles[] = {"recipe.textproto", "metrics.jsonl",   "metrics.discarded.jsonl",
                                     "attempts.jsonl",   "done.json",       "verdict.json",
                                     "certificate.json", "evaluation.json", ".probe"};

/// Throws where a file can't be written in `folder`, or its disk is full.
void TryWriting(FileSystem& files, const std::string& folder) {
  const std::string probe = folder + "/.probe", text = "lockstep\n";
  try {
    const std::unique_ptr<WritableFile> file = files.Create(probe);
    file->Append(std::as_bytes(std::span(text)));
    file->Sync();
    file->Close();
  } catch (const Error& error) {
    try {
      files.RemoveAll(probe);
    } catch (const Error&) {  // the first error says more
    }
    throw error;
  }
  files.RemoveAll(probe);
}

}  // namespace

std::string RunFolder::checkpoint(uint64_t step) const { return checkpoints() + "/" + checkpoint::FolderName(step); }

void RunFolder::Create() {
  try {
    files_.CreateFolders(checkpoints());
    files_.CreateFolders(path_ + "/logs");
    // Each on its own: somebody may have made one of them for another user.
    for (const std::string& folder : {path_, checkpoints(), path_ + "/logs"}) TryWriting(files_, folder);
  } catch (const Error& error) {
    // A file server that fails may be back at the next start; what one may not write to stays so.
    throw Error(error.kind() == ErrorKind::kStorage ? ErrorKind::kStorage : ErrorKind::kAccess,
                fmt::format("this run's folder can't be written: {}", error.what()), "--out " + path_,
                "give another folder with --out");
  }
}

std::string RunFolder::MoveAside() {
  if (!files_.Exists(path_)) return "";
  std::string to = path_ + ".old";
  for (int n = 2; files_.Exists(to); ++n) to = path_ + ".old-" + std::to_string(n);
  files_.Rename(path_, to);
  return to;
}

std::string RunFolder::ReadIfThere(const std::string& path) {
  return files_.Exists(path) ? ReadWholeFile(files_, path) : "";
}

std::optional<AttemptStart> RunFolder::LastAttempt() {
  std::optional<AttemptStart> last;
  for (AttemptStart& attempt : ParseAttempts(ReadIfThere(path_ + "/attempts.jsonl")))
    if (!last || attempt.number >= last->number) last = std::move(attempt);
  return last;
}

std::vector<std::string> RunFolder::ChangedSince(uint32_t attempt) {
  std::vector<std::string> changed;
  for (const AttemptStart& start : ParseAttempts(ReadIfThere(path_ + "/attempts.jsonl")))
    if (start.number > attempt) changed.insert(changed.end(), start.changed.begin(), start.changed.end());
  return changed;
}

uint32_t RunFolder::NextAttempt() { return LastAttemptNumber(ReadIfThere(path_ + "/attempts.jsonl")) + 1; }

uint32_t RunFolder::BeginAttempt(AttemptStart attempt) {
  const std::string path = path_ + "/attempts.jsonl";
  const std::string before = ReadIfThere(path);
  attempt.number = LastAttemptNumber(before) + 1;
  files_.RemoveAll(ending());
  const char* separator = before.empty() || before.ends_with('\n') ? "" : "\n";
  WriteFileAtomically(files_, path, before + separator + FormatAttempt(attempt, std::time(nullptr)));
  return attempt.number;
}

void RunFolder::RemoveLeftovers() noexcept {
  const auto remove_in = [&](const std::string& folder, const auto& is_left_over) {
    for (const std::string& name : files_.List(folder))
      if (is_left_over(name)) files_.RemoveAll(folder + "/" + name);
  };
  try {
    remove_in(path_, [](const std::string& name) {
      if (name.starts_with(".witness-")) return true;
      return std::any_of(std::begin(kOwnFiles), std::end(kOwnFiles),
                         [&](const char* own) { return name == own ? *own == '.' : IsTemporaryOf(name, own); });
    });
    for (const std::string& attempt : files_.List(path_ + "/flight"))
      remove_in(path_ + "/flight/" + attempt, [](const std::string& name) { return name.ends_with(kTemporarySuffix); });
  } catch (const std::exception& error) {
    // They cost a little room and nothing else.
    LogInfo("what earlier attempts have left unfinished could not be removed: {}", error.what());
  }
}

void RunFolder::DiscardMetricsAfter(uint64_t step, bool evaluated) {
  const std::string all = ReadIfThere(metrics());
  std::string kept, discarded;
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);) {
    const Json row = ParseJsonObject(line);
    const uint64_t at = FieldOr<uint64_t>(row, "step", step + 1);
    const bool keep = at < step || (at == step && (evaluated || !row.contains("split")));
    (keep ? kept : discarded) += line + "\n";
  }
  if (!discarded.empty()) {
    const std::string aside = path_ + "/metrics.discarded.jsonl";
    WriteFileAtomically(files_, aside, ReadIfThere(aside) + discarded);
  }
  if (kept != all) WriteFileAtomically(files_, metrics(), kept);
}

void RunFolder::WriteEnding(const AttemptEnding& ending) noexcept {
  try {
    WriteNewFileAtomically(files_, this->ending(), FormatEnding(ending, std::time(nullptr)));
  } catch (const std::exception& error) {
    LogInfo("how this attempt ended could not be written down: {}", error.what());
  }
}

void RunFolder::WriteDone(const RunDone& done) { WriteFileAtomically(files_, path_ + "/done.json", FormatDone(done)); }

std::optional<RunDone> RunFolder::ReadDone() { return ParseDone(ReadIfThere(path_ + "/done.json")); }

}  // namespace lockstep::records
