// The handshake before step one: every rank says what it has, the coordinator answers for all.
#pragma once

#include <string>

#include "base/file.h"
#include "trainer/loop/coordinator.h"
#include "trainer/loop/job.h"
#include "trainer/loop/messages.pb.h"

namespace lockstep::loop {

/// What this rank has.
Hello SayHello(const Job& job);

/// Collective. Returns the coordinator's verdict, or throws its error (printed by rank 0). Also makes sure that every
/// rank sees the run folder that rank 0 writes to. `coordinator` on rank 0, else null.
Verdict Handshake(const Job& job, FileSystem& files, Coordinator* coordinator);

}  // namespace lockstep::loop
