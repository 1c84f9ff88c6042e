// A job for mpirun, started by mpi_test.sh:
//   mpi_program exchange RANKS_PER_HOST   runs scenarios, exits 0 when every rank has the reference's bytes
//   mpi_program abort RANK CODE FOLDER    writes FOLDER/PID for each rank; RANK fails inside the exchange with CODE
//   mpi_program stop RANK FOLDER          RANK stops itself (SIGSTOP) inside the exchange; the others' watchdogs end
//   the job
//   mpi_program abandoned MESSAGES        an error ends rank 0's wait, and then what it waited for arrives: where
//   MESSAGES is 'exchange' sums and weights, where it is 'collective' a broadcast
//   mpi_program full BYTES                asks for so much shared memory: says the error and exits with its code
//   mpi_program lengths SENT EXPECTED     rank 0 sends so many bytes, rank 1 expects others: says the error likewise
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "base/error.h"
#include "comm/flight_file.h"
#include "comm/mpi/mpi_communicator.h"
#include "comm/watchdog.h"
#include "exchange_scenario.h"

namespace lockstep::comm {
namespace {

bool RunsAlike(Communicator& comm, const Scenario& scenario) {
  uint64_t expected = comm.rank() == 0 ? HashOf(ReferenceWeights(scenario)) : 0;
  comm.Wait(*comm.Broadcast(std::as_writable_bytes(std::span(&expected, 1)), 0), "the reference's hash");
  const uint64_t hash = HashOf(RunScenario(comm, scenario));
  if (hash != expected) std::printf("rank %d differs: %s\n", comm.rank(), scenario.ToString().c_str());
  return hash == expected;
}

int RunExchange(int ranks_per_host) {
  auto comm = StartMpi({.ranks_per_host = ranks_per_host});
  const int world_size = comm->world_size();
  const Topology& topology = comm->topology();
  if (ranks_per_host > 0 && topology.local_size() > ranks_per_host) return 1;

  bool alike = true;
  for (bool share_at_once : {true, false}) {
    for (int lanes : {world_size, 8, 13}) {
      Scenario scenario{.lanes = lanes, .steps = 4, .share_at_once = share_at_once};
      scenario.executors.assign(static_cast<size_t>(world_size), 1);
      scenario.executors.back() = 3;
      if (lanes == world_size) {
        scenario.elements = 100 * kChunkElements + 1;  // messages past the eager limit
        scenario.bucket = 64 * kChunkElements;
      }
      alike &= RunsAlike(*comm, scenario);
    }
  }
  const std::string mine = "rank " + std::to_string(comm->rank()) + std::string(static_cast<size_t>(comm->rank()), '!');
  const auto all = GatherStrings(*comm, mine, "strings");
  alike &= all[static_cast<size_t>(comm->rank())] == mine && all[0] == "rank 0";
  const auto at_last = GatherStringsAt(*comm, mine, world_size - 1, "strings");
  alike &= comm->rank() == world_size - 1 ? at_last == all : at_last.empty();
  alike &= BroadcastString(*comm, mine, world_size - 1, "a string") == all.back();

  comm->Wait(*comm->Barrier(), "the verdicts");
  return alike ? 0 : 1;
}

int RunAbort(int culprit, int code, const std::string& folder) {
  auto comm = StartMpi();
  std::ofstream(folder + "/" + std::to_string(getpid())) << comm->rank();
  Scenario scenario{.lanes = 8, .steps = 1'000'000};
  scenario.executors.assign(static_cast<size_t>(comm->world_size()), 1);
  std::optional<Interrupt> interrupt;
  if (comm->rank() == culprit) {
    interrupt.emplace(comm->waiter(), [polls = 0]() mutable {
      if (++polls == 200) throw Error(ErrorKind::kData, "the culprit's message");
    });
  }
  try {
    RunScenario(*comm, scenario);
  } catch (const PeerAborted& aborted) {
    if (aborted.rank() != culprit || aborted.exit_code() != code)
      std::fprintf(stderr, "wrong news: %s\n", aborted.what());
    std::fprintf(stderr, "rank %d was told\n", comm->rank());
    comm->Exit(aborted.exit_code());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    comm->Abort(code);
    comm->Exit(code);
  }
  return 1;
}

int RunStop(int culprit, const std::string& folder) {
  auto comm = StartMpi();
  std::ofstream(folder + "/pids/" + std::to_string(getpid())) << comm->rank();
  FlightRecorder& recorder = comm->recorder();
  recorder.SetAttempt(1);
  comm->waiter().SetDeadline(std::chrono::seconds(1));
  Watchdog::Options options;
  options.folder = folder + "/heartbeat";
  options.records_folder = folder + "/flight";
  options.on_stuck = [](const Error& error) {
    std::fprintf(stderr, "stuck: %s\n", error.what());
    _exit(error.exit_code());
  };
  const Watchdog watchdog(*comm, std::move(options));
  recorder.EnterPhase(Phase::COMPUTING, 1);
  Scenario scenario{.lanes = 8, .steps = 1'000'000};
  scenario.executors.assign(static_cast<size_t>(comm->world_size()), 1);
  std::optional<Interrupt> interrupt;
  if (comm->rank() == culprit) {
    interrupt.emplace(comm->waiter(), [polls = 0]() mutable {
      if (++polls == 200) std::raise(SIGSTOP);
    });
  }
  int code = 1;
  try {
    RunScenario(*comm, scenario);
  } catch (const PeerAborted& aborted) {
    std::fprintf(stderr, "rank %d was told\n", comm->rank());
    code = aborted.exit_code();
    WriteFlightRecord(FileSystem::Real(), recorder, folder + "/flight", aborted.what());
  } catch (const Error& error) {
    std::fprintf(stderr, "verdict: %s\n", error.what());
    code = error.exit_code();
    WriteFlightRecord(FileSystem::Real(), recorder, folder + "/flight", error.what());
    comm->Abort(code);
    // The others write their records, too, before anybody ends the job.
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  comm->Exit(code);
  return code;
}

/// What a job does when `body` fails on a rank: says so once, and ends with its code.
int RunToItsEnd(const std::function<void(Communicator&)>& body) {
  auto comm = StartMpi();
  try {
    body(*comm);
  } catch (const PeerAborted& aborted) {
    comm->Exit(aborted.exit_code());
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    comm->Abort(error.exit_code());
    comm->Exit(error.exit_code());
  }
  return 0;
}

int RunFull(size_t bytes) {
  return RunToItsEnd([=](Communicator& comm) { comm.ShareWithinHost(bytes); });
}

/// What rank 1 sends after an error has ended rank 0's wait for it: rank 0's MPI still receives it, as it does while an
/// abort is under way, though its memory is gone.
void SendLate(Communicator& comm, const std::function<void()>& wait, const std::function<void()>& send) {
  char word = 0;
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(&word, 1));
  if (comm.rank() == 1) {
    comm.Wait(*comm.Receive(bytes, 0, kTags - 1), "the end of rank 0's wait");
    send();
    comm.Wait(*comm.Send(bytes, 0, kTags - 1), "the late messages");
    return;
  }
  comm.waiter().SetDeadline(std::chrono::milliseconds(50));
  try {
    wait();
    std::fprintf(stderr, "rank 0 has waited for nothing\n");
  } catch (const Error&) {
  }
  comm.waiter().SetDeadline(std::chrono::seconds(20));
  comm.Wait(*comm.Send(bytes, 1, kTags - 1), "rank 1");
  comm.Wait(*comm.Receive(bytes, 1, kTags - 1), "the late messages");
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  while (std::chrono::steady_clock::now() < end) comm.Poll();
}

/// Each rank owns half of a bucket. Rank 1's step does not end: rank 0 takes no part in its end.
void AbandonExchange(Communicator& comm, int64_t elements) {
  std::optional<Exchange> exchange;
  const auto step = [&] {
    exchange.emplace(comm, ExchangeOptions{2, {{{0, 1}}, {{1, 2}}}, CutBuckets(elements, elements)});
    exchange->Begin(1);
    exchange->PieceReady(0, 0);
    exchange->Reduce([](int, ElementRange, const SliceSum&) {}, true);
  };
  const auto fail = [&] {
    try {
      step();
    } catch (const Error&) {
      exchange.reset();
      throw;
    }
  };
  SendLate(comm, fail, step);
}

void AbandonBroadcast(Communicator& comm) {
  constexpr size_t kBytes = 4096;
  void* const page = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const std::span<std::byte> text(static_cast<std::byte*>(page), kBytes);
  const auto broadcast = [&] { comm.Wait(*comm.Broadcast(text, 1), "a broadcast"); };
  const auto fail = [&] {
    try {
      broadcast();
    } catch (const Error&) {
      munmap(page, kBytes);
      throw;
    }
  };
  SendLate(comm, fail, broadcast);
}

int RunAbandoned(const std::string& messages) {
  auto comm = StartMpi({.ranks_per_host = 1});
  if (messages == "exchange") {
    AbandonExchange(*comm, 64 * kChunkElements);
  } else {
    AbandonBroadcast(*comm);
  }
  // Rank 0 has lived through it, and ends both.
  if (comm->rank() == 1) comm->WaitUntil([] { return false; }, "the end");
  comm->Exit(7);
  return 0;
}

int RunLengths(size_t sent, size_t expected) {
  return RunToItsEnd([=](Communicator& comm) {
    std::vector<std::byte> bytes(comm.rank() == 0 ? sent : expected);
    if (comm.rank() == 0) comm.Wait(*comm.Send(bytes, 1, 0), "the message");
    if (comm.rank() == 1) comm.Wait(*comm.Receive(bytes, 0, 0), "the message");
    comm.Wait(*comm.Barrier(), "the end");
  });
}

}  // namespace
}  // namespace lockstep::comm

int main(int argc, char** argv) {
  using namespace lockstep::comm;
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "exchange" && argc == 3) return RunExchange(std::atoi(argv[2]));
  if (mode == "abort" && argc == 5) return RunAbort(std::atoi(argv[2]), std::atoi(argv[3]), argv[4]);
  if (mode == "stop" && argc == 4) return RunStop(std::atoi(argv[2]), argv[3]);
  if (mode == "lengths" && argc == 4)
    return RunLengths(std::strtoull(argv[2], nullptr, 10), std::strtoull(argv[3], nullptr, 10));
  if (mode == "abandoned" && argc == 3) return RunAbandoned(argv[2]);
  if (mode == "full" && argc == 3) return RunFull(std::strtoull(argv[2], nullptr, 10));
  return 2;
}
