// profile/rank-N.json: what each thread of a rank did in the steps that were profiled, and how its clock stands to
// rank 0's. Each rank writes its own; `lockstep profile` reads all of them. Beside what stands below, the file lists
// the words for kinds of events once ("whats"), and an event is a row of numbers:
//
//   [index into "whats", ns from "origin_ns" to its beginning, ns that it lasted, step, lane, number, program]
//
// with -1 where an event has no lane or number. Times are this rank's steady clock's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/profile/event_log.h"

namespace lockstep::records {

/// How this rank's clock stood to rank 0's: rank 0's showed `at_ns + offset_ns`, give or take `error_ns`.
struct ClockReading {
  int64_t at_ns = 0, offset_ns = 0, error_ns = 0;
};

struct ProfiledOp {
  std::string kind, name;  ///< "linear", "fc1/weight_grad"
  double flops = 0;        ///< floating-point operations of one run
  double bytes = 0;        ///< of its operands, each once
  bool operator==(const ProfiledOp&) const = default;
};
/// The program of one shape of lane batches.
struct ProfiledProgram {
  uint64_t forward_ops = 0;  ///< the first of `ops`: those up to the losses
  std::vector<ProfiledOp> ops;
};
struct ProfiledThread {
  std::string name;      ///< "communication", "executor 0"
  uint64_t dropped = 0;  ///< events that found no room
  std::vector<profile::Event> events;
};

struct RankProfile {
  uint32_t attempt = 0;
  int rank = 0, world_size = 1;
  std::string host;
  std::string device;    ///< "CPU", "GPU": there an executor's events are not known, only the communicating thread's
  int lane_threads = 1;  ///< threads that compute a lane together
  uint64_t first_step = 0, steps = 0;  ///< 0-based; finished ones
  ClockReading before, after;          ///< taken before the first and behind the last of them
  std::vector<ProfiledProgram> programs;
  std::vector<ProfiledThread> threads;
};

std::string FormatProfile(const RankProfile& profile);
/// Throws Error(kUsage), at `where`, for what is no profile. Ops of events are ones of the programs.
RankProfile ParseProfile(std::string_view text, const std::string& where);

}  // namespace lockstep::records
