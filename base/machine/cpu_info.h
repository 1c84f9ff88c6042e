// What kind of processor this is.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lockstep {

/// Instruction sets the backends distinguish, ascending.
enum class Isa { kGeneric, kAvx2, kAvx512, kAmx };
Isa DetectIsa();
const char* Name(Isa isa);

/// "AMD EPYC 9R14", and the sizes of caches of each level in bytes: parts of the numerics fingerprint.
std::string CpuModel();
std::vector<size_t> CacheSizes();

}  // namespace lockstep
