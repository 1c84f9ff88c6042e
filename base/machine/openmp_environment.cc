#include "base/machine/openmp_environment.h"

namespace lockstep {
namespace {

constexpr int kMost = 16;
const char* ignored[kMost];
int ignored_count = 0;

/// Whether `entry` is "`name`=...". By hand: libc is not to be called yet.
bool IsSetting(const char* entry, const char* name) {
  while (*name != '\0' && *entry == *name) {
    ++entry;
    ++name;
  }
  return *name == '\0' && *entry == '=';
}

void TakeAway(int, char**, char** environment) {
  constexpr const char* kNames[] = {"OMP_PROC_BIND", "OMP_PLACES",       "GOMP_CPU_AFFINITY",
                                    "KMP_AFFINITY",  "OMP_THREAD_LIMIT", "OMP_MAX_ACTIVE_LEVELS"};
  char** kept = environment;
  for (char** entry = environment; *entry != nullptr; ++entry) {
    bool ignore = false;
    for (const char* name : kNames) ignore |= IsSetting(*entry, name);
    if (ignore && ignored_count < kMost)
      ignored[ignored_count++] = *entry;
    else
      *kept++ = *entry;
  }
  *kept = nullptr;
}

using Initializer = void (*)(int, char**, char**);
__attribute__((section(".preinit_array"), used)) const Initializer kBeforeAllConstructors = TakeAway;

}  // namespace

std::vector<std::string> IgnoredOpenMpVariables() { return {ignored, ignored + ignored_count}; }

}  // namespace lockstep
