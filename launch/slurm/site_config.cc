#include "launch/slurm/site_config.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "launch/recipe/first_error.h"
#include "launch/recipe/text_error.h"

namespace lockstep::launch {
namespace {

namespace pb = google::protobuf;

constexpr uint32_t kGraceSeconds = 120;

/// $XDG_CONFIG_HOME/lockstep/site.textproto, by default ~/.config/lockstep/site.textproto; empty without a home.
std::string SitePath() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && *config != '\0') return std::string(config) + "/lockstep/site.textproto";
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? "" : std::string(home) + "/.config/lockstep/site.textproto";
}

}  // namespace

Site ParseSite(const std::string& text, const std::string& name) {
  Site site;
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &site)) {
    const TextComplaint complaint = Explain(error, text, *Site::descriptor(), {"site", "", {}});
    throw Error(ErrorKind::kUsage, complaint.message, fmt::format("{}:{}:{}", name, error.at_line, error.at_column),
                complaint.hint);
  }
  if (site.grace_seconds() == 0) site.set_grace_seconds(kGraceSeconds);
  return site;
}

Site ReadSite() {
  std::ifstream file(SitePath());
  std::ostringstream text;
  text << file.rdbuf();
  return ParseSite(text.str(), SitePath());
}

}  // namespace lockstep::launch
