// lockstep(1).
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace lockstep::launch {

/// The manual page in troff, made of what the commands say of themselves.
std::string ManualPage(const CLI::App& app);

}  // namespace lockstep::launch
