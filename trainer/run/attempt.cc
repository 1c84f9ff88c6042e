#include "trainer/run/attempt.h"

#include <chrono>
#include <exception>
#include <future>
#include <thread>
#include <utility>

#include "base/files/file.h"
#include "base/log.h"
#include "base/machine/host.h"
#include "comm/agreement.h"
#include "comm/flight_file.h"
#include "trainer/plan/lane_plan.h"
#include "trainer/plan/memory_estimate.h"
#include "trainer/run/core_messages.h"
#include "trainer/run/handshake.h"
#include "trainer/step/device/device_memory.h"

namespace lockstep::run {
namespace {

/// For the notes of a rank that is stuck, before its process ends.
constexpr std::chrono::seconds kTimeForNotes(5);

}  // namespace

Attempt::Attempt(const Job& job, const Start& start, const StartPlan& plan, Coordinator* coordinator)
    : job_(job),
      start_(start),
      plan_(plan),
      recorder_(job.place.comm->recorder()),
      coordinator_(coordinator),
      folder_(*start.files, start.folder),
      step_(plan.resume_step()) {
  recorder_.SetAttempt(plan.attempt());
}

Outcome Attempt::Run() {
  try {
    return Work();
  } catch (const comm::PeerAborted& aborted) {
    Record(aborted.what());
    throw;
  } catch (...) {
    Error error = CurrentError();
    // What could be used when training began and can't be any more is a file system that fails.
    if (trains_ && error.kind() == ErrorKind::kAccess) error = error.As(ErrorKind::kStorage);
    NoteFailure(error, step_);
    throw error;
  }
}

Outcome Attempt::Work() {
  comm::Communicator& comm = *job_.place.comm;
  CheckFolder(job_, start_, plan_);
  StartLog(records::RunFolder(FileSystem::Real(), start_.folder).log(comm.rank()), comm.rank() == 0, comm.rank());
  StartWatchdog();
  recorder_.EnterPhase(comm::Phase::COMPILING);
  Worker worker(job_, start_, Compile(), plan_, coordinator_);
  Outcome outcome;
  try {
    trains_ = true;
    outcome = worker.Run();
  } catch (...) {
    step_ = worker.step();
    throw;
  }
  const bool done = outcome.exit_code == 0;
  if (comm.rank() == 0)
    folder_.WriteEnding({plan_.attempt(), done ? std::nullopt : std::optional(ErrorKind::kPreempted), outcome.exit_code,
                         done ? "done" : "stopped in time", "", worker.step(), ""});
  // Some launchers end all ranks as soon as one returns an exit code that is not 0. And MPI waits at its end for all
  // ranks, without a limit: one that doesn't come is missed here.
  comm.Wait(*comm.Barrier(), "the end");
  return outcome;
}

void Attempt::StartWatchdog() {
  comm::Watchdog::Options options;
  options.files = start_.files;
  options.folder = folder_.heartbeats();
  options.records_folder = folder_.flight_records(plan_.attempt());
  options.on_stuck = [this](const Error& error) {
    NoteFailureInTime(error);
    if (start_.end_stuck) start_.end_stuck(error);
  };
  watchdog_.emplace(*job_.place.comm, std::move(options));
  if (const uint32_t timeout = job_.config.watchdog.timeout_seconds(); timeout > 0)
    job_.place.comm->waiter().SetDeadline(std::chrono::seconds(timeout));
}

plan::JobPlans Attempt::Compile() const {
  std::optional<plan::JobPlans> plans;
  comm::Together(*job_.place.comm, "the compilation of the model", [&] {
    plans = plan::CompileJob(job_.config, job_.splits, job_.model, *job_.place.backend, job_.place.comm->world_size());
    const comm::Topology& topology = job_.place.comm->topology();
    const comm::LanePlan lanes = plan::LanesOf(static_cast<int>(job_.config.train.lanes()), CorePlanOf(plan_));
    if (job_.place.device) {
      const LaneRange mine = lanes[static_cast<size_t>(topology.rank)].front();
      step::CheckDeviceMemory(*job_.place.device->device,
                              step::PlanDeviceMemory(job_.config, *plans, mine, topology.rank, topology.world_size));
    } else {
      plan::CheckMemory(job_.config, job_.splits, *plans, lanes, topology.hosts[static_cast<size_t>(topology.host())],
                        MemoryLimit());
    }
  });
  return std::move(*plans);
}

void Attempt::Record(const std::string& ending) {
  // Before there is a watchdog it is not known whether this host sees the run folder.
  if (watchdog_) comm::WriteFlightRecord(*start_.files, recorder_, folder_.flight_records(plan_.attempt()), ending);
}

void Attempt::NoteFailure(const Error& error, uint64_t step) noexcept {
  try {
    Record(error.what());
    // The folder is another job's now, and the verdict on this attempt would be read as one on that job's.
    if (error.kind() == ErrorKind::kSuperseded) return;
    const comm::Topology& topology = job_.place.comm->topology();
    std::string where = error.where();
    const auto diagnosis = watchdog_ ? watchdog_->diagnosis() : std::nullopt;
    if (where.empty() && diagnosis && !diagnosis->culprits.empty())
      where = comm::RanksOnHosts(diagnosis->culprits, topology);
    if (where.empty()) where = topology.Name();
    folder_.WriteEnding({plan_.attempt(), error.kind(), error.exit_code(), error.message(), where, step, ""});
  } catch (const std::exception& failed) {
    LogInfo("how this attempt ended could not be noted: {}", failed.what());
  }
}

// A disk that hangs may be what the rank is stuck in, and then notes hang as well.
void Attempt::NoteFailureInTime(const Error& error) {
  try {
    std::promise<void> noted;
    const std::future<void> done = noted.get_future();
    std::thread([this, error, noted = std::move(noted)]() mutable {
      NoteFailure(error, 0);
      noted.set_value_at_thread_exit();
    }).detach();
    done.wait_for(kTimeForNotes);
  } catch (const std::exception&) {  // no memory, no threads: then without a limit
    NoteFailure(error, 0);
  }
}

}  // namespace lockstep::run
