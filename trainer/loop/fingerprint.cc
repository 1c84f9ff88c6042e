#include "trainer/loop/fingerprint.h"

#include <fmt/format.h>
#include <gnu/libc-version.h>

#include <cstdlib>

#include "base/threads.h"

namespace lockstep::loop {

std::map<std::string, std::string> NumericsFingerprint(const std::string& backend_version) {
  std::string caches;
  for (size_t bytes : CacheSizes()) caches.append(fmt::format("{},", bytes));
  std::map<std::string, std::string> print = {{"cpu", CpuModel()},
                                              {"caches", caches},
                                              {"isa", Name(DetectIsa())},
                                              {"libc", gnu_get_libc_version()},
                                              {"backend", backend_version}};
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
                           "GLIBC_TUNABLES"})
    if (const char* value = std::getenv(name)) print[name] = value;
  return print;
}

}  // namespace lockstep::loop
