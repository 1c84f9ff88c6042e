#include "trainer/run/profile/clock_offset.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "base/error.h"

namespace lockstep::run {
namespace {

constexpr int kExchanges = 20;
constexpr int kTag = comm::kTags - 1;
constexpr char kWhat[] = "the comparison of clocks";

/// Gives the core away but does not sleep: a wait's sleeps would be most of what an exchange takes.
void WaitFor(comm::Communicator& comm, comm::Pending& pending) {
  using Clock = std::chrono::steady_clock;
  const auto done = [&] {
    for (const auto end = Clock::now() + std::chrono::milliseconds(1); Clock::now() < end; std::this_thread::yield())
      if (pending.Done()) return true;
    return false;
  };
  comm.WaitUntil(done, kWhat);
}

void Answer(comm::Communicator& comm, int rank, const std::function<int64_t()>& now) {
  for (int i = 0; i < kExchanges; ++i) {
    std::byte question{};
    WaitFor(comm, *comm.Receive({&question, 1}, rank, kTag));
    const int64_t answer = now();
    WaitFor(comm, *comm.Send(std::as_bytes(std::span(&answer, 1)), rank, kTag));
  }
}

ClockExchange Ask(comm::Communicator& comm, const std::function<int64_t()>& now) {
  ClockExchange exchange;
  const std::byte question{};
  const auto answer = comm.Receive(std::as_writable_bytes(std::span(&exchange.answered_ns, 1)), 0, kTag);
  exchange.asked_ns = now();
  const auto sent = comm.Send({&question, 1}, 0, kTag);
  WaitFor(comm, *answer);
  exchange.heard_ns = now();
  WaitFor(comm, *sent);
  return exchange;
}

}  // namespace

records::ClockReading EstimateOffset(std::span<const ClockExchange> exchanges) {
  CHECK(!exchanges.empty());
  const ClockExchange& best = *std::min_element(
      exchanges.begin(), exchanges.end(),
      [](const ClockExchange& a, const ClockExchange& b) { return a.heard_ns - a.asked_ns < b.heard_ns - b.asked_ns; });
  const int64_t took = best.heard_ns - best.asked_ns;
  const int64_t middle = best.asked_ns + took / 2;
  return {middle, best.answered_ns - middle, took - took / 2};
}

records::ClockReading ReadClock(comm::Communicator& comm, const std::function<int64_t()>& now) {
  if (comm.rank() == 0) {
    for (int rank = 1; rank < comm.world_size(); ++rank) Answer(comm, rank, now);
    return {now(), 0, 0};
  }
  std::vector<ClockExchange> exchanges;
  for (int i = 0; i < kExchanges; ++i) exchanges.push_back(Ask(comm, now));
  return EstimateOffset(exchanges);
}

}  // namespace lockstep::run
