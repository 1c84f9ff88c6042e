// The handshake before step one: every rank says what it has, the coordinator answers for all.
#pragma once

#include <string>

#include "base/file.h"
#include "trainer/plan/job.h"
#include "trainer/run/coordinator.h"
#include "trainer/run/messages.pb.h"

namespace lockstep::run {

/// What this rank has.
Hello SayHello(const plan::Job& job);

/// Collective. Returns the coordinator's verdict, or throws its error (printed by rank 0). Also makes sure that every
/// rank sees the run folder that rank 0 writes to. `coordinator` on rank 0, else null.
StartPlan Handshake(const plan::Job& job, FileSystem& files, Coordinator* coordinator);

}  // namespace lockstep::run
