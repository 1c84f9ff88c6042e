// The handshake before step one: every rank says what it has, the coordinator answers for all.
#pragma once

#include <string>

#include "trainer/run/coordinator.h"
#include "trainer/run/job.h"
#include "trainer/run/messages.pb.h"
#include "trainer/run/start.h"

namespace lockstep::run {

/// What this rank has.
Hello SayHello(const Job& job);

/// Collective. Returns the coordinator's plan, or throws its error (printed by rank 0). `coordinator` on rank 0, else
/// null.
StartPlan Handshake(const Job& job, Coordinator* coordinator);

/// Collective. Makes sure that every rank sees the run folder that rank 0 writes to; throws on rank 0 where one does
/// not, elsewhere comm::PeerAborted.
void CheckFolder(const Job& job, const Start& start, const StartPlan& plan);

}  // namespace lockstep::run
