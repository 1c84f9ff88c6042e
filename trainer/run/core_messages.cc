#include "trainer/run/core_messages.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/error.h"
#include "base/machine/cores.h"
#include "base/machine/openmp_environment.h"
#include "comm/communicator.h"

namespace lockstep::run {
namespace {

Cores::Pinning ReadPinning() {
  const char* text = std::getenv("LOCKSTEP_PIN");
  const std::string value = text == nullptr ? "" : text;
  if (value.empty()) return Cores::INSIDE_MASKS;
  if (value == "always") return Cores::ALWAYS;
  if (value == "never") return Cores::NEVER;
  throw Error(ErrorKind::kUsage, fmt::format("LOCKSTEP_PIN is \"{}\"", value), "",
              "set it to always or never, or unset it");
}

}  // namespace

Cores DescribeOwnCores() {
  const CoreBudget budget = QueryCores();
  Cores message;
  for (const Core& core : DescribeCores(budget.allowed)) {
    message.add_number(core.number);
    message.add_physical(core.physical);
    message.add_numa(core.numa);
  }
  message.set_machine(budget.machine);
  message.set_quota(budget.quota);
  message.set_quota_group(budget.quota_group);
  message.set_bound(budget.slurm);
  message.set_pinning(ReadPinning());
  for (const std::string& variable : IgnoredOpenMpVariables()) message.add_ignored(variable);
  return message;
}

plan::RankCores CoresOf(const Cores& message, int host, int requested) {
  plan::RankCores rank;
  rank.host = host;
  for (int i = 0; i < message.number_size(); ++i)
    rank.cores.push_back({message.number(i), message.physical(i), message.numa(i)});
  rank.machine = message.machine();
  rank.quota = message.quota();
  rank.quota_group = message.quota_group();
  rank.bound = message.bound();
  rank.requested = requested;
  return rank;
}

plan::Pinning PinningOf(const Cores& message) {
  switch (message.pinning()) {
    case Cores::ALWAYS:
      return plan::Pinning::kAlways;
    case Cores::NEVER:
      return plan::Pinning::kNever;
    default:
      return plan::Pinning::kInsideMasks;
  }
}

void SetCorePlan(const plan::CorePlan& plan, StartPlan* message) {
  for (const plan::CoreShare& share : plan) {
    CoreShare* to = message->add_cores();
    to->set_executors(share.executors);
    to->set_crowded(share.crowded);
    to->set_lanes(share.lanes);
    for (const std::vector<int>& pin : share.pins) to->add_pins()->mutable_cores()->Add(pin.begin(), pin.end());
  }
}

plan::CorePlan CorePlanOf(const StartPlan& message) {
  plan::CorePlan plan;
  for (const CoreShare& share : message.cores()) {
    plan.push_back({share.executors(), {}, share.crowded(), share.lanes()});
    for (const CoreShare::Pin& pin : share.pins()) plan.back().pins.push_back({pin.cores().begin(), pin.cores().end()});
  }
  return plan;
}

plan::CorePlan AgreeOnCores(const Job& job, int requested) {
  comm::Communicator& comm = *job.place.comm;
  Hello mine;
  *mine.mutable_cores() = DescribeOwnCores();
  mine.set_executors(requested);
  std::vector<plan::RankCores> ranks;
  plan::Pinning pinning = plan::Pinning::kInsideMasks;
  for (const std::string& bytes : comm::GatherStrings(comm, mine.SerializeAsString(), "the ranks' cores")) {
    Hello hello;
    hello.ParseFromString(bytes);
    if (ranks.empty()) pinning = PinningOf(hello.cores());
    ranks.push_back(CoresOf(hello.cores(), comm.topology().host_of[ranks.size()], hello.executors()));
  }
  return plan::PlanCores(ranks, static_cast<int>(job.config.train.lanes()),
                         static_cast<int>(job.config.train.lane_threads()), pinning);
}

}  // namespace lockstep::run
