#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>

#include <atomic>

#include "base/error.h"
#include "base/mutex.h"
#include "base/terminal.h"

namespace lockstep {
namespace {

struct Log {
  Mutex mutex;
  std::shared_ptr<spdlog::logger> file GUARDED_BY(mutex);
  std::atomic<bool> to_stderr = true;
};

/// Never destroyed: threads may log while the process exits.
Log& TheLog() {
  static Log* log = new Log;
  return *log;
}

std::shared_ptr<spdlog::logger> CurrentFile() {
  Log& log = TheLog();
  const MutexLock lock(log.mutex);
  return log.file;
}

const char* Prefix(int level) { return level == 0 ? "" : level == 1 ? "note: " : "warning: "; }

}  // namespace

void StartLog(const std::string& path, bool to_stderr, int rank) {
  std::shared_ptr<spdlog::logger> file;
  if (!path.empty()) {
    try {
      file = std::make_shared<spdlog::logger>("lockstep", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path));
    } catch (const spdlog::spdlog_ex& e) {
      throw Error(ErrorKind::kAccess, fmt::format("can't open the log: {}", e.what()), path,
                  "choose an output folder that you may write to");
    }
    file->set_pattern(fmt::format("%Y-%m-%d %H:%M:%S.%e rank {}: %v", rank));
    // A log that can't be written (a full disk) must not stop training: it is said once.
    file->set_error_handler([told = std::make_shared<std::atomic<bool>>(false)](const std::string& reason) {
      if (!told->exchange(true) && TheLog().to_stderr) PrintLine("warning: can't write the log: " + reason);
    });
  }
  Log& log = TheLog();
  const MutexLock lock(log.mutex);
  log.file = std::move(file);
  log.to_stderr = to_stderr;
}

void FlushLog() {
  if (const auto file = CurrentFile()) file->flush();
}

void LogLine(int level, const std::string& text) {
  const std::string line = Prefix(level) + text;
  if (level > 0 && TheLog().to_stderr) PrintLine(line);
  const auto file = CurrentFile();
  if (!file) return;
  file->log(spdlog::level::info, spdlog::string_view_t(line));
  file->flush();  // a killed process leaves all that it had to say
}

}  // namespace lockstep
