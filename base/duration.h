// Spans of time as people and Slurm write them.
#pragma once

#include <cstdint>
#include <string>

namespace lockstep::launch {

/// Seconds in `text`: "00:30:00", "30:00" (minutes and seconds), "1-00:00:00", "1-12" (days and hours), "30m", "1h30m",
/// "90s", "2d". Throws Error(kUsage) at `where`, also for a bare number: sbatch takes it for minutes, and most programs
/// for seconds.
int64_t ParseDuration(const std::string& text, const std::string& where);

/// As sbatch reads it back: "00:30:00", "1-00:00:00".
std::string SlurmTime(int64_t seconds);

/// For people: "8 s", "3 min", "2.5 h", "4 days".
std::string InWords(double seconds);

}  // namespace lockstep::launch
