#include "trainer/run/handshake.h"

#include <chrono>
#include <thread>

#include "base/build_info.h"
#include "base/machine/core_speed.h"
#include "base/machine/host.h"
#include "comm/agreement.h"
#include "trainer/run/coordinator.h"
#include "trainer/run/core_messages.h"
#include "trainer/run/numerics.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::run {

Hello SayHello(const Job& job) {
  Hello hello;
  hello.set_host(job.place.comm->topology().host_name());
  hello.set_recipe(job.config.identity.text());
  for (const plan::RunIdentity::Field& field : job.config.identity.fields()) {
    IdentityField& added = *hello.add_identity();
    added.set_name(field.name);
    added.set_value(field.value);
    added.set_numerics(field.numerics);
  }
  hello.set_build_hash(std::string(BuildHash()));
  hello.set_build(std::string(BuildDescription()));
  for (const auto& [name, split] :
       {std::pair{"train", job.splits.train}, {"validation", job.splits.validation}, {"test", job.splits.test}})
    if (split) (*hello.mutable_data())[name] = split->fingerprint();
  for (const auto& [name, value] : NumericsFingerprint(job.config.train, job.place))
    (*hello.mutable_numerics())[name] = value;
  *hello.mutable_cores() = DescribeOwnCores();
  hello.set_executors(job.place.executors);
  constexpr double kSeconds = 0.5;
  if (job.config.train.balance() == plan::Balance::MEASURED && !job.place.device)
    hello.set_speed(MeasureCoreSpeed(kSeconds));
  hello.set_memory_limit(MemoryLimit());
  if (job.place.device) {
    const DeviceInfo& info = job.place.device->device->info();
    hello.mutable_gpu()->set_name(info.name);
    hello.mutable_gpu()->set_uuid(info.uuid);
    hello.mutable_gpu()->set_ordinal(info.ordinal);
    hello.mutable_gpu()->set_visible(job.place.device->visible);
  }
  return hello;
}

StartPlan Handshake(const Job& job, Coordinator* coordinator) {
  comm::Communicator& comm = *job.place.comm;
  std::vector<Hello> hellos;
  for (const std::string& bytes : comm::GatherStrings(comm, SayHello(job).SerializeAsString(), "the handshake"))
    hellos.emplace_back().ParseFromString(bytes);
  std::string answer;
  if (coordinator != nullptr) answer = coordinator->Decide(hellos).SerializeAsString();
  StartPlan plan;
  plan.ParseFromString(comm::BroadcastString(comm, answer, 0, "the coordinator's plan"));
  if (plan.has_error()) {
    if (comm.rank() == 0) throw comm::FromText(plan.error());
    throw comm::PeerAborted(0, comm::FromText(plan.error()).exit_code());
  }
  return plan;
}

void CheckFolder(const Job& job, const Start& start, const StartPlan& plan) {
  comm::Communicator& comm = *job.place.comm;
  FileSystem& files = *start.files;
  const std::string witness = start.folder + "/" + plan.witness(), what = "the check of the run folder";
  std::string mine;
  try {
    // A network file system may take a moment to show what another host wrote.
    for (int tries = 0; !files.Exists(witness); ++tries) {
      if (tries == 20)
        throw Error(ErrorKind::kUsage, "this host does not see the file that rank 0 wrote into the run folder",
                    start.folder, "--out must be on a file system that all hosts share");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  } catch (...) {
    mine = comm::ToText(CurrentError()).SerializeAsString();
  }
  const std::vector<std::string> all = comm::GatherStrings(comm, mine, what);
  // Rank 0 speaks for all: a rank that does not see the folder can't leave a verdict in it.
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].empty()) continue;
    comm::ErrorText text;
    text.ParseFromString(all[rank]);
    text.set_where(fmt::format("rank {} on {}: {}", rank, comm.topology().host_name_of[rank], text.where()));
    const Error error = comm::FromText(text);
    if (comm.rank() != 0) throw comm::PeerAborted(0, error.exit_code());
    throw error;
  }
  if (comm.rank() == 0) files.RemoveAll(witness);
}

}  // namespace lockstep::run
