#include "trainer/run/handshake.h"

#include <chrono>
#include <thread>

#include "base/build_info.h"
#include "base/threads.h"
#include "comm/agreement.h"
#include "trainer/run/coordinator.h"
#include "trainer/run/numerics.h"
#include "trainer/step/device_kit.h"

namespace lockstep::run {

Hello SayHello(const plan::Job& job) {
  Hello hello;
  hello.set_host(job.comm->topology().host_name_of[static_cast<size_t>(job.comm->rank())]);
  hello.set_recipe(job.recipe.identity);
  hello.set_build_hash(std::string(BuildHash()));
  hello.set_build(std::string(BuildDescription()));
  for (const auto& [name, split] :
       {std::pair{"train", job.splits.train}, {"validation", job.splits.validation}, {"test", job.splits.test}})
    if (split) (*hello.mutable_data())[name] = split->fingerprint();
  for (const auto& [name, value] : NumericsFingerprint(job)) (*hello.mutable_numerics())[name] = value;
  const CoreBudget cores = QueryCores();
  for (int core : cores.allowed) hello.add_cores(core);
  hello.set_usable_cores(cores.usable);
  hello.set_machine_cores(cores.machine);
  hello.set_executors(job.executors);
  hello.set_memory_limit(MemoryLimit());
  if (job.device) {
    const DeviceInfo& info = job.device->device->info();
    hello.mutable_gpu()->set_name(info.name);
    hello.mutable_gpu()->set_uuid(info.uuid);
    hello.mutable_gpu()->set_ordinal(info.ordinal);
    hello.mutable_gpu()->set_visible(job.device->visible);
  }
  return hello;
}

StartPlan Handshake(const plan::Job& job, FileSystem& files, Coordinator* coordinator) {
  comm::Communicator& comm = *job.comm;
  std::vector<Hello> hellos;
  for (const std::string& bytes : comm::GatherStrings(comm, SayHello(job).SerializeAsString(), "the handshake"))
    hellos.emplace_back().ParseFromString(bytes);
  std::string answer;
  if (coordinator != nullptr) answer = coordinator->Decide(hellos).SerializeAsString();
  StartPlan verdict;
  verdict.ParseFromString(comm::BroadcastString(comm, answer, 0, "the coordinator's verdict"));
  if (verdict.has_error()) {
    if (comm.rank() == 0) throw comm::FromText(verdict.error());
    throw comm::PeerAborted(0, verdict.error().kind());
  }
  if (verdict.witness().empty()) return verdict;

  const std::string witness = job.folder + "/" + verdict.witness();
  comm::Together(comm, "the check of the run folder", [&] {
    // A network file system may take a moment to show what another host wrote.
    for (int tries = 0; !files.Exists(witness); ++tries) {
      if (tries == 20)
        throw Error(ErrorKind::kUsage, "this host does not see the file that rank 0 wrote into the run folder",
                    job.folder, "--out must be on a file system that all hosts share");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  comm.Wait(*comm.Barrier(), "the check of the run folder");
  if (comm.rank() == 0) files.RemoveAll(witness);
  return verdict;
}

}  // namespace lockstep::run
