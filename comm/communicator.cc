#include "comm/communicator.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "comm/flight_recorder.h"

namespace lockstep::comm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

/// Waits shorter than this leave no trace: in a step there are many.
constexpr std::chrono::milliseconds kLongWait(10);
/// How often a wait past its deadline asks whether to go on.
constexpr std::chrono::milliseconds kAskEvery(20);

void SpinPause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// One turn of a wait that has lasted `elapsed`: spin, then yield, then sleep for a fraction of the time waited so far,
// so that sleeping too long costs little in relation. A yielding thread still gets its share of a core from the
// scheduler, so where cores are few it soon sleeps.
void GiveWay(Clock::duration elapsed, bool crowded) {
  const microseconds spin(crowded ? 2 : 50), yield(crowded ? 30 : 500), cap(100);
  if (elapsed < spin) {
    SpinPause();
  } else if (elapsed < yield) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(
        std::clamp(std::chrono::duration_cast<microseconds>(elapsed / 8), microseconds(5), cap));
  }
}

}  // namespace

PeerAborted::PeerAborted(int rank, int exit_code)
    : rank_(rank), exit_code_(exit_code), text_(fmt::format("rank {} has ended with exit code {}", rank, exit_code)) {}

void Communicator::SetComputing(bool computing) {
  {
    std::lock_guard lock(computing_mutex_);
    computing_ = computing;
  }
  if (!computing) computing_ended_.notify_one();
}

bool Communicator::SleepWhileComputing() {
  // Each look costs the computing thread of a shared core some 10 us.
  constexpr std::chrono::milliseconds kLookEvery(1);
  std::unique_lock lock(computing_mutex_);
  if (!computing_) return false;
  computing_ended_.wait_for(lock, kLookEvery, [this] { return !computing_; });
  return true;
}

void Communicator::NoteWait(const std::string& what, Clock::time_point since) {
  waiting_since_ns_.store(since.time_since_epoch().count(), std::memory_order_relaxed);
  if (recorder_) recorder_->SetWaiting(what, since);
}

void Communicator::EndWait() {
  waiting_since_ns_.store(0, std::memory_order_relaxed);
  if (recorder_) recorder_->SetWaiting({}, {});
}

void Communicator::Poll() {
  last_look_ns_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
  DoPoll();
}

void Communicator::WaitUntil(const std::function<bool()>& done, const std::string& what) {
  struct Noted {
    Communicator& comm;
    bool set = false;
    ~Noted() {
      if (set) comm.EndWait();
    }
  } noted{*this};
  const Clock::time_point start = Clock::now();
  Clock::time_point idle_since = start, asked;
  for (;;) {
    Poll();
    if (interrupt_) interrupt_();
    if (done()) break;
    const Clock::time_point now = Clock::now();
    if (!noted.set && now - start > kLongWait) {
      NoteWait(what, start);
      noted.set = true;
    }
    if (now - start > deadline() && now - asked > kAskEvery) {
      asked = now;
      if (!stalled_ || !stalled_(what)) {
        const Topology& where = topology();
        throw Error(ErrorKind::kPeer,
                    fmt::format("waited {:.3g} s for {}", std::chrono::duration<double>(now - start).count(), what),
                    fmt::format("rank {} on {}", where.rank, where.host_name_of[static_cast<size_t>(where.rank)]),
                    "another rank is stuck or gone: see the logs of the others");
      }
    }
    if (SleepWhileComputing())
      idle_since = Clock::now();
    else
      GiveWay(now - idle_since, crowded_);
  }
  if (recorder_) recorder_->Progress();
}

void Communicator::Wait(Pending& pending, const std::string& what) {
  WaitUntil([&] { return pending.Done(); }, what);
  if (recorder_ && pending.collective_ != 0) recorder_->LeaveCollective(pending.collective_);
}

// The number is given before the call: the call itself may be what hangs.

std::unique_ptr<Pending> Communicator::Barrier() {
  const uint64_t number = recorder_ ? recorder_->EnterCollective(CollectiveKind::BARRIER, 0, {}) : 0;
  std::unique_ptr<Pending> pending = DoBarrier();
  pending->collective_ = number;
  return pending;
}

std::unique_ptr<Pending> Communicator::Broadcast(std::span<std::byte> bytes, int root) {
  const uint64_t number = recorder_ ? recorder_->EnterCollective(CollectiveKind::BROADCAST, bytes.size(), {}) : 0;
  std::unique_ptr<Pending> pending = DoBroadcast(bytes, root);
  pending->collective_ = number;
  return pending;
}

std::unique_ptr<Pending> Communicator::AllGather(std::span<const std::byte> mine, std::span<std::byte> all) {
  const uint64_t number = recorder_ ? recorder_->EnterCollective(CollectiveKind::ALL_GATHER, mine.size(), {}) : 0;
  std::unique_ptr<Pending> pending = DoAllGather(mine, all);
  pending->collective_ = number;
  return pending;
}

// How many bytes may differ between ranks: a 0 is recorded.
std::vector<std::unique_ptr<SharedMemory>> Communicator::ShareWithinHost(size_t bytes) {
  const uint64_t number = recorder_ ? recorder_->EnterCollective(CollectiveKind::SHARED_MEMORY, 0, {}) : 0;
  std::vector<std::unique_ptr<SharedMemory>> segments = DoShareWithinHost(bytes);
  if (recorder_) recorder_->LeaveCollective(number);
  return segments;
}

std::vector<std::string> GatherStrings(Communicator& comm, const std::string& mine, const std::string& what) {
  const size_t world_size = static_cast<size_t>(comm.world_size());
  const uint64_t length = mine.size();
  std::vector<uint64_t> lengths(world_size);
  comm.Wait(*comm.AllGather(std::as_bytes(std::span(&length, 1)), std::as_writable_bytes(std::span(lengths))), what);

  const size_t longest = *std::max_element(lengths.begin(), lengths.end());
  std::vector<std::string> all(world_size);
  if (longest == 0) return all;
  std::string padded = mine;
  padded.resize(longest);
  std::string joined(longest * world_size, '\0');
  comm.Wait(*comm.AllGather(std::as_bytes(std::span(padded)), std::as_writable_bytes(std::span(joined))), what);
  for (size_t rank = 0; rank < world_size; ++rank) all[rank] = joined.substr(rank * longest, lengths[rank]);
  return all;
}

std::string BroadcastString(Communicator& comm, const std::string& bytes, int root, const std::string& what) {
  uint64_t length = bytes.size();
  comm.Wait(*comm.Broadcast(std::as_writable_bytes(std::span(&length, 1)), root), what);
  std::string result = comm.rank() == root ? bytes : std::string(length, '\0');
  if (length > 0) comm.Wait(*comm.Broadcast(std::as_writable_bytes(std::span(result)), root), what);
  return result;
}

}  // namespace lockstep::comm
