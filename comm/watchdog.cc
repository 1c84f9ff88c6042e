#include "comm/watchdog.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/threads.h"
#include "comm/flight_file.h"

namespace lockstep::comm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How long a rank leaves it to another one to say what is wrong.
constexpr milliseconds kOthersFirst(1000);
/// Between looks at a deadline that may have changed, at most.
constexpr milliseconds kLook(250);
/// A clock-watching thread that is this late has been stopped with its process.
constexpr milliseconds kStopped(1000);
/// Without heartbeats, slow can't be told from stuck: so many timeouts are allowed where their disk is full, and where
/// it hangs, which is likely to be what is wrong.
constexpr int kTimeoutsWhenFull = 10, kTimeoutsWhenHanging = 3;

/// What a rank that warms up may take without a sign of progress, as long as it beats.
constexpr std::chrono::minutes kWarmUp(10);

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

double WallSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

/// What the threads share. A thread that hangs in a file operation when the watchdog ends is left behind, and outlives
/// the communicator: once `stopping_` is set, it uses this object alone. So whoever uses waiter_ or recorder_ on that
/// thread holds mutex_ and has seen that `stopping_` is not set.
class Watchdog::State {
 public:
  State(Communicator& comm, Options options)
      : waiter_(comm.waiter()),
        recorder_(comm.recorder()),
        options_(std::move(options)),
        topology_(comm.topology()),
        others_(static_cast<size_t>(topology_.world_size)),
        started_(Clock::now()),
        resumed_(started_) {}

  void Beat();
  void Guard();
  bool OnStalled(const std::string& what);

  void Stop();
  /// False where it hangs.
  bool AwaitBeatingThread();
  std::optional<Diagnosis> diagnosis() const {
    MutexLock lock(mutex_);
    return diagnosis_;
  }

 private:
  struct Other {
    std::optional<Heartbeat> heartbeat;
    Clock::time_point noticed;  ///< when this heartbeat was first read
    bool changed = false;       ///< an older one was read before: it is as old as `noticed` says
  };

  std::string PathOf(int rank) const { return options_.folder + "/" + RankFileName(rank); }
  /// Sleeps; false where it is time to end.
  bool Sleep(Clock::duration duration);
  bool SleepUntilNextBeat();
  bool Write(const std::string& bytes);
  /// These return false where it is time to end.
  bool MakeHeartbeat(std::string& bytes);
  bool ReadOthers();
  bool Take(int rank, Heartbeat heartbeat);

  bool HasWaitedForLong() const REQUIRES(mutex_);
  std::vector<Sighting> Sightings(Clock::time_point now) const REQUIRES(mutex_);
  bool MaySpeak(std::span<const Sighting> ranks, double silent, Clock::time_point now) REQUIRES(mutex_);
  bool Blind(const std::string& what, Clock::time_point waiting_since, Clock::time_point now) REQUIRES(mutex_);
  Error Stalled(std::string message) const;

  Waiter& waiter_;
  FlightRecorder& recorder_;
  const Options options_;
  const Topology topology_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool beating_ended_ GUARDED_BY(mutex_) = false;
  bool writes_fail_ GUARDED_BY(mutex_) = false;
  uint64_t beat_ GUARDED_BY(mutex_) = 0;
  std::vector<Other> others_ GUARDED_BY(mutex_);
  Clock::time_point round_ GUARDED_BY(mutex_);  ///< when all others' heartbeats had been read last
  const Clock::time_point started_;
  Clock::time_point resumed_ GUARDED_BY(mutex_);  ///< start, or the end of a stop of the process
  std::optional<Clock::time_point> first_diagnosis_ GUARDED_BY(mutex_);
  std::optional<Diagnosis> diagnosis_ GUARDED_BY(mutex_);
};

bool Watchdog::State::Sleep(Clock::duration duration) {
  const Clock::time_point end = Clock::now() + duration;
  MutexLock lock(mutex_);
  while (!stopping_ && changed_.WaitUntil(mutex_, end)) continue;
  return !stopping_;
}

// The deadline may become shorter meanwhile, as it does after the first step: then others expect beats more often.
bool Watchdog::State::SleepUntilNextBeat() {
  const Clock::time_point begun = Clock::now();
  MutexLock lock(mutex_);
  while (!stopping_) {
    const Clock::time_point now = Clock::now(), end = begun + Period(waiter_.deadline());
    if (now >= end) return true;
    changed_.WaitUntil(mutex_, std::min<Clock::time_point>(end, now + kLook));
  }
  return false;
}

void Watchdog::State::Stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  changed_.NotifyAll();
}

bool Watchdog::State::AwaitBeatingThread() {
  const Clock::time_point end = Clock::now() + std::chrono::seconds(2);
  MutexLock lock(mutex_);
  while (!beating_ended_ && changed_.WaitUntil(mutex_, end)) continue;
  return beating_ended_;
}

bool Watchdog::State::MakeHeartbeat(std::string& bytes) {
  MutexLock lock(mutex_);
  if (stopping_) return false;
  Heartbeat heartbeat;
  heartbeat.set_rank(recorder_.rank());
  heartbeat.set_world_size(recorder_.world_size());
  heartbeat.set_host(recorder_.host());
  heartbeat.set_pid(getpid());
  heartbeat.set_attempt(recorder_.attempt());
  *heartbeat.mutable_status() = recorder_.status();
  heartbeat.set_beat(++beat_);
  heartbeat.set_time(WallSeconds());
  bytes = Encode(std::move(heartbeat));
  return true;
}

bool Watchdog::State::Write(const std::string& bytes) {
  try {
    options_.files->CreateFolders(options_.folder);
    ReplaceFile(*options_.files, PathOf(topology_.rank), bytes);
    return true;
  } catch (const std::exception&) {  // a full disk is no reason to end
    return false;
  }
}

bool Watchdog::State::Take(int rank, Heartbeat heartbeat) {
  const Clock::time_point now = Clock::now();
  MutexLock lock(mutex_);
  if (stopping_) return false;
  if (heartbeat.rank() != rank || heartbeat.world_size() != topology_.world_size ||
      heartbeat.attempt() != recorder_.attempt())
    return true;
  Other& other = others_[static_cast<size_t>(rank)];
  if (other.heartbeat && other.heartbeat->beat() == heartbeat.beat() && other.heartbeat->pid() == heartbeat.pid())
    return true;
  other.changed = other.heartbeat.has_value();
  other.heartbeat = std::move(heartbeat);
  other.noticed = now;
  return true;
}

bool Watchdog::State::ReadOthers() {
  for (int rank = 0; rank < topology_.world_size; ++rank) {
    if (rank == topology_.rank) continue;
    try {
      Heartbeat heartbeat = DecodeHeartbeat(ReadWholeFile(*options_.files, PathOf(rank)), PathOf(rank));
      if (!Take(rank, std::move(heartbeat))) return false;
    } catch (const std::exception&) {  // not there, or being replaced: what was read before stands
    }
  }
  MutexLock lock(mutex_);
  round_ = Clock::now();
  return !stopping_;
}

// Others are of interest when something may be wrong. From half of the timeout on there is time to see which of them
// still beat, without comparing the clocks of hosts.
bool Watchdog::State::HasWaitedForLong() const {
  Clock::time_point since;
  return waiter_.waiting_since(&since) && Clock::now() - since > waiter_.deadline() / 2;
}

void Watchdog::State::Beat() {
  std::string bytes;
  while (MakeHeartbeat(bytes)) {
    const bool written = Write(bytes);
    bool look;
    {
      MutexLock lock(mutex_);
      if (stopping_) break;
      writes_fail_ = !written;
      look = HasWaitedForLong();
    }
    if (look && !ReadOthers()) break;
    if (!SleepUntilNextBeat()) break;
  }
  MutexLock lock(mutex_);
  beating_ended_ = true;
  changed_.NotifyAll();
}

void Watchdog::State::Guard() {
  Clock::time_point last_tick = Clock::now();
  for (;;) {
    milliseconds timeout = waiter_.deadline();
    if (!Sleep(std::clamp(timeout / 20, milliseconds(10), kLook))) return;
    const Clock::time_point now = Clock::now();
    Clock::time_point alive;
    {
      MutexLock lock(mutex_);
      if (now - last_tick > kStopped) resumed_ = now;
      alive = resumed_;
    }
    last_tick = now;
    if (recorder_.warming_up()) timeout = std::max<milliseconds>(timeout, kWarmUp);
    alive = std::max({alive, waiter_.last_look(), recorder_.last_progress()});
    if (now - alive < timeout + kOthersFirst) continue;
    const Status status = recorder_.status();
    std::string message = fmt::format(
        "{} is stuck {}{}: its main thread has given no sign of life for {}", topology_.Name(), Name(status.phase()),
        status.has_step() ? fmt::format(" in step {}", status.step()) : "", SecondsText(Seconds(now - alive)));
    {
      MutexLock lock(mutex_);
      diagnosis_ = {message, {recorder_.rank()}};
    }
    if (options_.on_stuck) options_.on_stuck(Stalled(std::move(message)));
    return;
  }
}

std::vector<Sighting> Watchdog::State::Sightings(Clock::time_point now) const {
  std::vector<Sighting> ranks(others_.size());
  for (size_t rank = 0; rank < others_.size(); ++rank) {
    const Other& other = others_[rank];
    ranks[rank].heartbeat = other.heartbeat;
    if (!other.heartbeat) {
      ranks[rank].age_seconds = Seconds(now - started_);
    } else {
      ranks[rank].age_seconds = Seconds(now - other.noticed);
      if (!other.changed)
        ranks[rank].age_seconds = std::max(ranks[rank].age_seconds, WallSeconds() - other.heartbeat->time());
    }
  }
  Heartbeat own;
  *own.mutable_status() = recorder_.status();
  ranks[static_cast<size_t>(topology_.rank)] = {std::move(own), 0};
  return ranks;
}

// The lowest rank that lives speaks first.
bool Watchdog::State::MaySpeak(std::span<const Sighting> ranks, double silent, Clock::time_point now) {
  if (!first_diagnosis_) first_diagnosis_ = now;
  for (int rank = 0; rank < topology_.rank; ++rank) {
    const Sighting& other = ranks[static_cast<size_t>(rank)];
    if (other.heartbeat && other.age_seconds <= silent) return now - *first_diagnosis_ > kOthersFirst;
  }
  return true;
}

Error Watchdog::State::Stalled(std::string message) const {
  return Error(
      ErrorKind::kPeer, std::move(message), "",
      fmt::format("lockstep inspect {} shows what each rank did; started again, the run goes on from its newest "
                  "checkpoint; where nothing is wrong but slow, raise watchdog.timeout_seconds",
                  options_.records_folder));
}

// The heartbeats tell nothing: their disk is full, or hangs.
bool Watchdog::State::Blind(const std::string& what, Clock::time_point waiting_since, Clock::time_point now) {
  const Clock::duration waited = now - waiting_since;
  Clock::duration patience = (writes_fail_ ? kTimeoutsWhenFull : kTimeoutsWhenHanging) * waiter_.deadline();
  if (topology_.rank > 0) patience += kOthersFirst;
  if (waited < patience) return true;
  diagnosis_ = {fmt::format("{} has waited {} for {}, and does not know who is stuck: {} {}", topology_.Name(),
                            SecondsText(Seconds(waited)), what, options_.folder,
                            writes_fail_ ? "can't be written to" : "does not answer, the disk or file server hangs"),
                {}};
  throw Stalled(diagnosis_->message);
}

bool Watchdog::State::OnStalled(const std::string& what) {
  MutexLock lock(mutex_);
  const Clock::time_point now = Clock::now();
  const milliseconds timeout = waiter_.deadline();
  Clock::time_point waiting_since;
  if (now - resumed_ < timeout || !waiter_.waiting_since(&waiting_since)) return true;
  const bool round_is_new = round_ > waiting_since && now - round_ < 3 * Period(timeout) + kOthersFirst;
  // Of a rank that is alone, no file has to tell whether it gets on.
  if (topology_.world_size > 1 && (writes_fail_ || !round_is_new)) return Blind(what, waiting_since, now);

  const std::vector<Sighting> ranks = Sightings(now);
  const double silent = Seconds(timeout) / 2;
  const bool moves = std::any_of(ranks.begin(), ranks.end(), [&](const Sighting& rank) {
    const double patience = Seconds(rank.warms_up() && rank.age_seconds <= silent ? kWarmUp : Clock::duration(timeout));
    return rank.stale_seconds() < patience;
  });
  if (moves) {
    first_diagnosis_.reset();
    return true;
  }
  if (!MaySpeak(ranks, silent, now)) return true;
  diagnosis_ = Diagnose(ranks, topology_, silent);
  throw Stalled(diagnosis_->message);
}

milliseconds Watchdog::Period(milliseconds timeout) {
  return std::clamp(timeout / 10, milliseconds(20), milliseconds(5000));
}

Watchdog::Watchdog(Communicator& comm, Options options)
    : state_(std::make_shared<State>(comm, std::move(options))), waiter_(comm.waiter()) {
  beating_ = StartThread("heartbeat", [state = state_] { state->Beat(); });
  try {
    guarding_ = StartThread("watchdog", [state = state_] { state->Guard(); });
  } catch (...) {
    state_->Stop();
    beating_.join();
    throw;
  }
  waiter_.SetStalled([state = state_](const std::string& what) { return state->OnStalled(what); });
}

Watchdog::~Watchdog() {
  waiter_.SetStalled(nullptr);
  state_->Stop();
  guarding_.join();
  if (state_->AwaitBeatingThread())
    beating_.join();
  else
    beating_.detach();
}

std::optional<Diagnosis> Watchdog::diagnosis() const { return state_->diagnosis(); }

}  // namespace lockstep::comm
