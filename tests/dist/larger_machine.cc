// Loaded before the program (LD_PRELOAD): the machine seems to have twice the cores that it has, so that a mask of all
// of them is a part of it.
#include <dlfcn.h>
#include <unistd.h>

extern "C" long sysconf(int name) noexcept {
  static const auto real = reinterpret_cast<long (*)(int)>(dlsym(RTLD_NEXT, "sysconf"));
  return name == _SC_NPROCESSORS_ONLN ? 2 * real(name) : real(name);
}
