#include "base/duration.h"

#include <fmt/format.h>

#include <optional>
#include <regex>
#include <vector>

#include "base/error.h"

namespace lockstep::launch {
namespace {

constexpr int64_t kMinute = 60, kHour = 3600, kDay = 86400;

int64_t Number(const std::ssub_match& match) { return match.matched ? std::stoll(match.str()) : 0; }

/// Slurm's forms with a colon or a dash.
std::optional<int64_t> ParseClock(const std::string& text) {
  static const std::regex kWithDays(R"((\d{1,5})-(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2}))?)");
  static const std::regex kPlain(R"((?:(\d{1,6}):)?(\d{1,6}):(\d{1,2}))");
  std::smatch found;
  if (std::regex_match(text, found, kWithDays))
    return Number(found[1]) * kDay + Number(found[2]) * kHour + Number(found[3]) * kMinute + Number(found[4]);
  if (std::regex_match(text, found, kPlain))
    return Number(found[1]) * kHour + Number(found[2]) * kMinute + Number(found[3]);
  return std::nullopt;
}

std::optional<int64_t> ParseUnits(const std::string& text) {
  static const std::regex kUnits(R"((?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})(?:m|min))?(?:(\d{1,9})s)?)");
  std::smatch found;
  if (text.empty() || !std::regex_match(text, found, kUnits)) return std::nullopt;
  return Number(found[1]) * kDay + Number(found[2]) * kHour + Number(found[3]) * kMinute + Number(found[4]);
}

}  // namespace

int64_t ParseDuration(const std::string& text, const std::string& where) {
  std::optional<int64_t> seconds = ParseClock(text);
  if (!seconds) seconds = ParseUnits(text);
  if (!seconds || *seconds == 0)
    throw Error(ErrorKind::kUsage, fmt::format("\"{}\" is no span of time", text), where,
                "for example 30m, 1h30m, 00:30:00 or 1-00:00:00");
  return *seconds;
}

std::string SlurmTime(int64_t seconds) {
  const std::string clock =
      fmt::format("{:02}:{:02}:{:02}", seconds % kDay / kHour, seconds % kHour / kMinute, seconds % kMinute);
  return seconds >= kDay ? fmt::format("{}-{}", seconds / kDay, clock) : clock;
}

std::string InWords(double seconds) {
  if (seconds < 2 * kMinute) return fmt::format("{:.0f} s", seconds);
  if (seconds < 2 * kHour) return fmt::format("{:.0f} min", seconds / kMinute);
  if (seconds < 2 * kDay) return fmt::format("{:.1f} h", seconds / kHour);
  return fmt::format("{:.1f} days", seconds / kDay);
}

}  // namespace lockstep::launch
