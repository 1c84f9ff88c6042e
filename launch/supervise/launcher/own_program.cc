#include "launch/supervise/launcher/own_program.h"

#include <sys/auxv.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>
#include <system_error>

namespace lockstep::launch {
namespace {

namespace fs = std::filesystem;

// What Linux adds to the path of a program whose file is gone.
constexpr std::string_view kDeleted = " (deleted)";

struct Paths {
  std::string executed, called;
};

Paths FindPaths() {
  std::error_code ignored;
  Paths paths;
  paths.executed = fs::read_symlink("/proc/self/exe", ignored).string();
  if (const auto* called = reinterpret_cast<const char*>(getauxval(AT_EXECFN)))
    paths.called = fs::absolute(called, ignored).lexically_normal().string();
  return paths;
}

}  // namespace

bool IsProgram(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

std::string ChooseProgram(std::string executed, const std::string& called) {
  if (executed.ends_with(kDeleted) && !IsProgram(executed)) executed.resize(executed.size() - kDeleted.size());
  return IsProgram(executed) || !IsProgram(called) ? executed : called;
}

std::string OwnProgram() {
  static const Paths kPaths = FindPaths();
  return ChooseProgram(kPaths.executed, kPaths.called);
}

}  // namespace lockstep::launch
