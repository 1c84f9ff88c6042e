#include "trainer/run/train.h"

#include <optional>

#include "trainer/plan/job_plans.h"
#include "trainer/run/attempt.h"
#include "trainer/run/coordinator.h"
#include "trainer/run/handshake.h"
#include "trainer/run/legs.h"

namespace lockstep::run {

Outcome Train(const Job& job, const Start& start) {
  comm::Communicator& comm = *job.place.comm;
  comm.recorder().SetWarmingUp(true);
  comm.recorder().EnterPhase(comm::Phase::COMPARING_RANKS);
  std::optional<Coordinator> coordinator;
  if (comm.rank() == 0) coordinator.emplace(job, start);
  Coordinator* leader = coordinator ? &*coordinator : nullptr;
  const StartPlan plan = Handshake(job, leader);
  if (!plan.done_line().empty()) return {comm.rank() == 0 ? plan.done_line() : "", 0};
  const Job continued = JobIn(job, {.first_step = plan.first_step(), .first_position = plan.first_position()});
  return Attempt(continued, start, plan, leader).Run();
}

}  // namespace lockstep::run
