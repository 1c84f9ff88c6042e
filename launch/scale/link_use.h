// What the ranks of a run send over the links of their hosts in a step, and how long the links alone would take.
#pragma once

#include "launch/scale/study_folder.h"

namespace lockstep::launch {

struct LinkUse {
  int hosts = 0;
  double host_bytes = 0;  ///< sent a step by the host that sends most
  /// Seconds of a step that the slowest host needs to send what it sends over its slowest measured link; 0: unknown.
  double link_seconds = 0;
};

/// Messages go between hosts: ranks of one host share memory.
LinkUse LinkUseOf(const RunResult& run, const HostLimits& limits);

/// Bytes that each of `hosts` must send at least in any all-reduce of `bytes`: 2 (h - 1) / h of them, as in a ring
/// (Patarasuk and Yuan 2009).
double LeastHostBytes(double bytes, int hosts);

}  // namespace lockstep::launch
