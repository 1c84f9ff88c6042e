#include "trainer/run/train.h"

#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/threads.h"
#include "comm/agreement.h"
#include "comm/flight_file.h"
#include "comm/watchdog.h"
#include "trainer/plan/job_plans.h"
#include "trainer/plan/lane_plan.h"
#include "trainer/records/run_folder.h"
#include "trainer/run/coordinator.h"
#include "trainer/run/handshake.h"
#include "trainer/step/device_memory.h"

namespace lockstep::run {
namespace {

/// Sets the communicator's recorder for as long as it lives.
class Recording {
 public:
  explicit Recording(comm::Communicator& comm)
      : comm_(comm),
        recorder_(comm.rank(), comm.world_size(), comm.topology().host_name_of[static_cast<size_t>(comm.rank())]) {
    comm_.SetRecorder(&recorder_);
  }
  ~Recording() { comm_.SetRecorder(nullptr); }
  comm::FlightRecorder& recorder() { return recorder_; }

 private:
  comm::Communicator& comm_;
  comm::FlightRecorder recorder_;
};

/// An attempt of a run, from the verdict on. Whatever ends it, it is noted in the run folder: how, by the rank that
/// knows why (or rank 0, where nothing went wrong), and what each rank did last.
class Attempt {
 public:
  Attempt(const plan::Job& job, const StartPlan& verdict, comm::FlightRecorder& recorder, Coordinator* coordinator)
      : job_(job), verdict_(verdict), recorder_(recorder), coordinator_(coordinator), folder_(*job.files, job.folder) {
    recorder_.SetAttempt(verdict.attempt());
    comm::Watchdog::Options options;
    options.files = job.files;
    options.folder = folder_.heartbeats();
    options.records_folder = folder_.flight_records(verdict.attempt());
    options.on_stuck = [this](const Error& error) {
      NoteFailure(error, 0);
      if (job_.end_stuck) job_.end_stuck(error);
    };
    watchdog_.emplace(*job.comm, recorder, std::move(options));
    if (const uint32_t timeout = job.watchdog.timeout_seconds(); timeout > 0)
      job.comm->SetDeadline(std::chrono::seconds(timeout));
  }

  Outcome Run() {
    uint64_t step = verdict_.resume_step();
    try {
      recorder_.EnterPhase(comm::Phase::COMPILING);
      Worker worker(job_, Compile(), verdict_, coordinator_);
      Outcome outcome;
      try {
        outcome = worker.Run();
      } catch (...) {
        step = worker.step();
        throw;
      }
      if (job_.comm->rank() == 0)
        folder_.WriteEnding({verdict_.attempt(), outcome.exit_code, outcome.exit_code == 0 ? "done" : "stopped in time",
                             "", worker.step()});
      // Some launchers end all ranks as soon as one returns an exit code that is not 0.
      if (outcome.exit_code != 0) job_.comm->Wait(*job_.comm->Barrier(), "the end");
      return outcome;
    } catch (const comm::PeerAborted& aborted) {
      Record(aborted.what());
      throw;
    } catch (const Error& error) {
      NoteFailure(error, step);
      throw;
    }
  }

 private:
  plan::JobPlans Compile() const {
    std::optional<plan::JobPlans> plans;
    comm::Together(*job_.comm, "the compilation of the model", [&] {
      plans = plan::CompileJob(job_, job_.comm->world_size());
      const comm::Topology& topology = job_.comm->topology();
      const comm::LanePlan lanes = plan::PlanLanes(static_cast<int>(job_.train.lanes()),
                                                   {verdict_.executors().begin(), verdict_.executors().end()});
      if (job_.device) {
        const LaneRange mine = lanes[static_cast<size_t>(topology.rank)].front();
        step::CheckDeviceMemory(job_, step::PlanDeviceMemory(job_, *plans, mine, topology.rank, topology.world_size));
      } else {
        plan::CheckMemory(job_, *plans, lanes, topology.hosts[static_cast<size_t>(topology.host())], MemoryLimit());
      }
    });
    return std::move(*plans);
  }

  void Record(const std::string& ending) {
    comm::WriteFlightRecord(*job_.files, recorder_, folder_.flight_records(verdict_.attempt()), ending);
  }

  void NoteFailure(const Error& error, uint64_t step) {
    Record(error.what());
    // A usage error in mid-run means that another job has taken the folder over: it is that job's now.
    if (error.kind() == ErrorKind::kUsage) return;
    const comm::Topology& topology = job_.comm->topology();
    std::string where = error.where();
    if (const auto diagnosis = watchdog_->verdict(); where.empty() && diagnosis && !diagnosis->culprits.empty())
      where = comm::RanksOnHosts(diagnosis->culprits, topology);
    if (where.empty())
      where = fmt::format("rank {} on {}", topology.rank, topology.host_name_of[static_cast<size_t>(topology.rank)]);
    folder_.WriteEnding({verdict_.attempt(), error.exit_code(), error.message(), where, step});
  }

  const plan::Job& job_;
  const StartPlan& verdict_;
  comm::FlightRecorder& recorder_;
  Coordinator* coordinator_;
  records::RunFolder folder_;
  std::optional<comm::Watchdog> watchdog_;
};

}  // namespace

Outcome Train(const plan::Job& job) {
  comm::Communicator& comm = *job.comm;
  Recording recording(comm);
  recording.recorder().SetWarmingUp(true);
  recording.recorder().EnterPhase(comm::Phase::COMPARING_RANKS);
  std::optional<Coordinator> coordinator;
  if (comm.rank() == 0) coordinator.emplace(job, *job.files, plan::LengthOf(job).total_steps);
  Coordinator* leader = coordinator ? &*coordinator : nullptr;
  const StartPlan verdict = Handshake(job, *job.files, leader);
  if (!verdict.done_line().empty()) return {comm.rank() == 0 ? verdict.done_line() : "", 0};
  StartLog(records::RunFolder(FileSystem::Real(), job.folder).log(comm.rank()), comm.rank() == 0, comm.rank());
  return Attempt(job, verdict, recording.recorder(), leader).Run();
}

}  // namespace lockstep::run
