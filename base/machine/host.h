// What this machine is called, and how much memory it gives to this process.
#pragma once

#include <cstddef>
#include <string>

namespace lockstep {

/// This machine's host name, without its domain.
std::string HostName();

/// The memory limit of this process's cgroup or the machine's memory, whichever is less, in bytes.
size_t MemoryLimit();

}  // namespace lockstep
