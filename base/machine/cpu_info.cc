#include "base/machine/cpu_info.h"

#include <sys/syscall.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include <fstream>
#include <map>

namespace lockstep {
namespace {

#ifdef __x86_64__
bool HasAmx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kTile = 1u << 24, kBf16 = 1u << 22;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kTile) == 0 || (d & kBf16) == 0) return false;
  // The kernel must save the tile registers too: arch_prctl(ARCH_GET_XCOMP_SUPP), bits 17 and 18.
  constexpr int kGetSupported = 0x1021;
  constexpr uint64_t kTileState = uint64_t{3} << 17;
  uint64_t supported = 0;
  return syscall(SYS_arch_prctl, kGetSupported, &supported) == 0 && (supported & kTileState) == kTileState;
}
#endif

}  // namespace

Isa DetectIsa() {
#ifdef __x86_64__
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Isa::kGeneric;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (!avx512) return Isa::kAvx2;
  return HasAmx() ? Isa::kAmx : Isa::kAvx512;
#else
  return Isa::kGeneric;
#endif
}

const char* Name(Isa isa) {
  switch (isa) {
    case Isa::kGeneric:
      return "generic";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAmx:
      return "amx";
  }
  return "?";
}

std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

std::vector<size_t> CacheSizes() {
  std::map<int, size_t> by_level;
  for (int index = 0; index < 16; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    std::ifstream level_file(folder + "/level"), type_file(folder + "/type"), size_file(folder + "/size");
    int level = 0;
    std::string type, unit;
    size_t size = 0;
    if (!(level_file >> level) || !(type_file >> type) || !(size_file >> size)) break;
    size_file >> unit;
    if (type == "Instruction") continue;
    by_level[level] = size << (unit == "K" ? 10 : unit == "M" ? 20 : 0);
  }
  std::vector<size_t> sizes;
  for (const auto& [level, size] : by_level) sizes.push_back(size);
  return sizes;
}

}  // namespace lockstep
