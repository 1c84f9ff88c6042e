#include "data/text/sentencepiece/train_sentencepiece.h"

// SentencePiece's trainer runs as a program of its own. Its library can't be linked: Debian's has a Protobuf 3.14
// inside whose symbols clash with ours; in whichever order they are linked, one of the two ends the program
// (2026-11-21).
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/files/atomic_write.h"
#include "base/files/file.h"
#include "data/text/tokenizers/token_errors.h"

namespace lockstep::data {
namespace {

constexpr char kProgram[] = "spm_train";

Error Refused(std::string message, std::string hint = "") {
  return Error(ErrorKind::kUsage, std::move(message), "", std::move(hint));
}

/// A folder for the trainer's files, removed in the end.
class WorkFolder {
 public:
  WorkFolder() {
    path_ = (std::filesystem::temp_directory_path() / "lockstep-pieces-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) throw FileError(errno, "can't make a folder", path_);
  }
  ~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Puts the texts into one file, one after the other; returns the longest line's length.
size_t JoinTexts(const std::vector<std::string>& paths, const std::string& joined) {
  const auto file = FileSystem::Real().Create(joined);
  size_t longest = 0;
  for (const std::string& path : paths) {
    std::string text = LoadTextFile(path);
    RequireUtf8(text, path);
    if (!text.empty() && !text.ends_with('\n')) text.push_back('\n');
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      longest = std::max(longest, end - begin);
      begin = end + 1;
    }
    file->Append(std::as_bytes(std::span(text)));
  }
  file->Close();
  return longest;
}

std::vector<std::string> Arguments(const SentencePieceTraining& training, size_t longest_line) {
  constexpr size_t kUsualLongestLine = 4192;
  const bool bpe = training.model == SentencePieceTraining::Model::kBpe;
  return {
      kProgram,
      // Relative names: the model records them.
      "--input=text",
      "--model_prefix=pieces",
      "--minloglevel=1",
      fmt::format("--model_type={}", bpe ? "bpe" : "unigram"),
      fmt::format("--vocab_size={}", training.size),
      fmt::format("--character_coverage={}", training.character_coverage),
      fmt::format("--byte_fallback={}", training.byte_fallback),
      fmt::format("--pad_id={}", training.padding),
      fmt::format("--bos_id={}", training.begin),
      fmt::format("--eos_id={}", training.end),
      fmt::format("--unk_id={}", training.unknown),
      // Longer lines would be left out, without an error.
      fmt::format("--max_sentence_length={}", std::max(longest_line + 1, kUsualLongestLine)),
      // Unigram sums by thread: the number decides bits.
      "--num_threads=16",
      "--random_seed=1",
  };
}

/// Runs the program in `folder`, with what it prints in the file `log` there. Returns its status for waitpid's macros.
int RunIn(const std::string& folder, std::vector<std::string> words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "log", O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = -1;
  const int failed = posix_spawnp(&child, kProgram, &actions, &attributes, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    throw Refused(
        fmt::format("can't start the program {}, which trains SentencePiece: {}", kProgram, std::strerror(failed)),
        "install SentencePiece's programs (Debian: apt install sentencepiece)");
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw Refused(fmt::format("lost the program {}: {}", kProgram, std::strerror(errno)));
  }
  return status;
}

/// The reason in the trainer's log: "FILE(LINE) [CONDITION] Internal: FILE(LINE) [CONDITION] the reason" and a line
/// about the program's end.
std::string Reason(const std::string& log) {
  if (!FileSystem::Real().Exists(log)) return "it gives no reason";
  std::istringstream lines(ReadWholeFile(FileSystem::Real(), log));
  std::string last, line;
  while (std::getline(lines, line)) {
    if (!line.empty() && !line.starts_with("Program terminated")) last = line;
  }
  const size_t condition = last.rfind("] ");
  return condition == std::string::npos ? last : last.substr(condition + 2);
}

}  // namespace

void TrainSentencePiece(const SentencePieceTraining& training, const std::string& model_path) {
  if (training.texts.empty()) throw Refused("there is no text to train SentencePiece on");
  const WorkFolder folder;
  const size_t longest_line = JoinTexts(training.texts, folder.path() + "/text");
  if (longest_line == 0) {
    throw Error(ErrorKind::kData, "there is no text to train SentencePiece on, only empty lines",
                training.texts.front(), "name files that have text");
  }
  const int status = RunIn(folder.path(), Arguments(training, longest_line));
  const std::string model = folder.path() + "/pieces.model";
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !FileSystem::Real().Exists(model)) {
    throw Refused(
        fmt::format("{} made no vocabulary of {} pieces: {}", kProgram, training.size, Reason(folder.path() + "/log")),
        "change the size or the ids, or give it more text");
  }
  WriteFileAtomically(FileSystem::Real(), model_path, ReadWholeFile(FileSystem::Real(), model));
}

}  // namespace lockstep::data
