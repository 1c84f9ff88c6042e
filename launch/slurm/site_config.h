// Reads a site's defaults (site.proto).
#pragma once

#include <string>

#include "launch/slurm/site.pb.h"

namespace lockstep::launch {

/// The site of text; `name` stands for the file in messages. Throws Error(kUsage) with file and line.
Site ParseSite(const std::string& text, const std::string& name);

/// The site that $XDG_CONFIG_HOME/lockstep/site.textproto describes (by default ~/.config/lockstep/site.textproto), or
/// defaults where there is no such file.
Site ReadSite();

}  // namespace lockstep::launch
