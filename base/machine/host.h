// What this machine is called, and how much memory it gives to this process.
#pragma once

#include <cstddef>
#include <string>

namespace lockstep {

/// This machine's host name, without its domain.
std::string HostName();

/// The memory limit of this process's cgroup or the machine's memory, whichever is less, in bytes.
size_t MemoryLimit();

/// Bytes of this process that are in memory now, code, libraries and shared memory counted; 0 where Linux doesn't say.
size_t ResidentMemory();

}  // namespace lockstep
