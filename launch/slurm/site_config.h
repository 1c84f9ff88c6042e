// Reads a site's defaults (site.proto).
#pragma once

#include <string>

#include "launch/slurm/site.pb.h"

namespace lockstep::launch {

/// $XDG_CONFIG_HOME/lockstep/site.textproto, by default ~/.config/lockstep/site.textproto; empty without a home.
std::string SitePath();

/// The site of text; `name` stands for the file in messages. Throws Error(kUsage) with file and line.
Site ParseSite(const std::string& text, const std::string& name);

/// What SitePath() says, with defaults where there is no file.
Site ReadSite();

}  // namespace lockstep::launch
