#include "trainer/run/numerics.h"

#include <fmt/format.h>
#include <gnu/libc-version.h>

#include <cstdlib>

#include "base/machine/cpu_info.h"

namespace lockstep::run {

std::map<std::string, std::string> NumericsFingerprint(const plan::TrainConfig& config, const step::Place& place) {
  std::map<std::string, std::string> print = {{"libc", gnu_get_libc_version()},
                                              {"backend", place.backend_version},
                                              {"precision", plan::Precision::Value_Name(config.precision())}};
  if (place.device) {
    const DeviceInfo& info = place.device->device->info();
    print["gpu"] = fmt::format("{}, {} processors", info.name, info.processors);
  } else {
    std::string& caches = print["caches"];
    for (size_t bytes : CacheSizes()) caches.append(fmt::format("{},", bytes));
    print["cpu"] = CpuModel();
    print["isa"] = Name(DetectIsa());
  }
  for (const char* name :
       {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
        "GLIBC_TUNABLES", "NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG", "CUBLASLT_WORKSPACE_SIZE"})
    if (const char* value = std::getenv(name)) print[name] = value;
  return print;
}

}  // namespace lockstep::run
