// A profile as tables for people and as JSON for programs.
#pragma once

#include <cstddef>
#include <string>

#include "launch/profile/profile_summary.h"

namespace lockstep::launch {

/// What the machine can do at best, for one executor while all others work too; 0: not measured.
struct ExecutorLimits {
  double matrix_gflops = 0;  ///< f32 matrix products
  double copy_gb_s = 0;      ///< copies in memory, read and written
};

/// `most_ops`: rows of the table of single ops.
std::string ProfileText(const ProfileSummary& summary, const ExecutorLimits& limits, size_t most_ops);
std::string ProfileJson(const ProfileSummary& summary, const ExecutorLimits& limits);

}  // namespace lockstep::launch
