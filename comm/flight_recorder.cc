#include "comm/flight_recorder.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace lockstep::comm {
namespace {

double Seconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-9; }

int64_t WallNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::string_view Name(Phase::Value phase) {
  switch (phase) {
    case Phase::START_UP:
      return "starting up";
    case Phase::LOADING_DATA:
      return "loading data";
    case Phase::COMPARING_RANKS:
      return "comparing ranks";
    case Phase::COMPILING:
      return "compiling";
    case Phase::LOADING_CHECKPOINT:
      return "loading checkpoint";
    case Phase::LOADING_BATCH:
      return "loading batch";
    case Phase::COMPUTING:
      return "computing";
    case Phase::EXCHANGING:
      return "exchanging";
    case Phase::EVALUATING:
      return "evaluating";
    case Phase::SAVING_CHECKPOINT:
      return "saving checkpoint";
    case Phase::FINISHING:
      return "finishing";
    default:
      return "in an unknown phase";
  }
}

std::string_view Name(CollectiveKind::Value kind) {
  switch (kind) {
    case CollectiveKind::BARRIER:
      return "barrier";
    case CollectiveKind::BROADCAST:
      return "broadcast";
    case CollectiveKind::ALL_GATHER:
      return "all-gather";
    case CollectiveKind::EXCHANGE:
      return "exchange";
    case CollectiveKind::WEIGHTS:
      return "sharing of weights";
    case CollectiveKind::SHARED_MEMORY:
      return "sharing of memory";
    default:
      return "collective";
  }
}

void FlightRecorder::Text::Set(std::string_view text) {
  size = static_cast<uint8_t>(std::min(text.size(), kTextBytes));
  std::copy_n(text.data(), size, bytes.data());
}

FlightRecorder::FlightRecorder(int rank, int world_size, std::string host)
    : rank_(rank), world_size_(world_size), host_(std::move(host)), progress_ns_(Now()), ring_(kEvents) {
  phase_ = {Phase::START_UP, progress_ns_, true};
}

int64_t FlightRecorder::Now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

FlightRecorder::Slot& FlightRecorder::Append(Event::Type type, int64_t now) {
  Slot& slot = ring_[events_++ % kEvents];
  slot.time_ns = now;
  slot.type = type;
  slot.step = step_;
  slot.collective = slot.bytes = 0;
  slot.phase = Phase::START_UP;
  slot.kind = CollectiveKind::NONE;
  slot.executor = 0;
  slot.idle = false;
  slot.text.size = 0;
  return slot;
}

void FlightRecorder::AppendCollective(Event::Type type, int64_t now, std::string_view text) {
  Slot& slot = Append(type, now);
  slot.collective = collective_.number;
  slot.kind = collective_.kind;
  slot.bytes = collective_.bytes;
  slot.step = collective_.step;
  slot.text.Set(text);
}

void FlightRecorder::EnterPhase(Phase::Value phase, int64_t step) {
  const int64_t now = Now();
  Progress(now);
  MutexLock lock(mutex_);
  phase_ = {phase, now, true};
  step_ = step;
  Append(Event::PHASE, now).phase = phase;
}

void FlightRecorder::EnterExecutorPhase(int executor, Phase::Value phase) {
  if (executor < 0 || executor >= kExecutors) return;
  const int64_t now = Now();
  Progress(now);
  MutexLock lock(mutex_);
  executors_[static_cast<size_t>(executor)] = {phase, now, true};
  used_executors_ = std::max(used_executors_, executor + 1);
  Slot& slot = Append(Event::EXECUTOR, now);
  slot.phase = phase;
  slot.executor = executor;
}

void FlightRecorder::LeaveExecutorPhase(int executor) {
  if (executor < 0 || executor >= kExecutors) return;
  const int64_t now = Now();
  Progress(now);
  MutexLock lock(mutex_);
  executors_[static_cast<size_t>(executor)].active = false;
  Slot& slot = Append(Event::EXECUTOR, now);
  slot.executor = executor;
  slot.idle = true;
}

uint64_t FlightRecorder::BeginCollective(CollectiveKind::Value kind, uint64_t bytes, std::string_view text,
                                         int64_t step) {
  const int64_t now = Now();
  Progress(now);
  MutexLock lock(mutex_);
  collective_ = {collective_.number + 1, kind, CollectiveState::BEGUN, bytes, step < 0 ? step_ : step, now};
  AppendCollective(Event::BEGIN, now, text);
  return collective_.number;
}

uint64_t FlightRecorder::EnterCollective(CollectiveKind::Value kind, uint64_t bytes, std::string_view text,
                                         int64_t step) {
  const int64_t now = Now();
  Progress(now);
  MutexLock lock(mutex_);
  collective_ = {collective_.number + 1, kind, CollectiveState::ENTERED, bytes, step < 0 ? step_ : step, now};
  AppendCollective(Event::ENTER, now, text);
  return collective_.number;
}

void FlightRecorder::EnterCollective(uint64_t number) {
  const int64_t now = Now();
  Progress(now);
  MutexLock lock(mutex_);
  if (collective_.number != number || collective_.state != CollectiveState::BEGUN) return;
  collective_.state = CollectiveState::ENTERED;
  collective_.since_ns = now;
  AppendCollective(Event::ENTER, now, {});
}

void FlightRecorder::LeaveCollective(uint64_t number) {
  const int64_t now = Now();
  Progress(now);
  MutexLock lock(mutex_);
  if (collective_.number != number || collective_.state == CollectiveState::LEFT) return;
  collective_.state = CollectiveState::LEFT;
  collective_.since_ns = now;
  AppendCollective(Event::LEAVE, now, {});
}

void FlightRecorder::SetWaiting(std::string_view what, std::chrono::steady_clock::time_point since) {
  MutexLock lock(mutex_);
  waiting_for_.Set(what);
  waiting_since_ns_ = since.time_since_epoch().count();
}

void FlightRecorder::Note(std::string_view text) {
  const int64_t now = Now();
  MutexLock lock(mutex_);
  Append(Event::NOTE, now).text.Set(text);
}

Status FlightRecorder::StatusAt(int64_t now) const {
  const Activity* telling = &phase_;
  for (int i = 0; i < used_executors_; ++i) {
    const Activity& executor = executors_[static_cast<size_t>(i)];
    if (executor.active && (telling == &phase_ || executor.since_ns < telling->since_ns)) telling = &executor;
  }
  Status status;
  status.set_phase(telling->phase);
  status.set_phase_seconds(Seconds(now - telling->since_ns));
  if (step_ >= 0) status.set_step(step_);
  status.set_collective(collective_.number);
  status.set_kind(collective_.kind);
  status.set_bytes(collective_.bytes);
  status.set_state(collective_.state);
  if (collective_.step >= 0) status.set_collective_step(collective_.step);
  if (collective_.number > 0) status.set_collective_seconds(Seconds(now - collective_.since_ns));
  if (waiting_for_.size > 0) {
    status.set_waiting_for(std::string(waiting_for_.view()));
    status.set_waiting_seconds(Seconds(now - waiting_since_ns_));
  }
  status.set_progress(progress_.load(std::memory_order_relaxed));
  status.set_progress_seconds(Seconds(std::max<int64_t>(0, now - progress_ns_.load(std::memory_order_relaxed))));
  status.set_warming_up(warming_up_);
  return status;
}

Status FlightRecorder::status() const {
  MutexLock lock(mutex_);
  return StatusAt(Now());
}

FlightRecord FlightRecorder::Record(const std::string& ending) const {
  std::vector<Slot> ring;
  uint64_t events;
  FlightRecord record;
  int64_t to_wall;
  {
    MutexLock lock(mutex_);
    ring = ring_;
    events = events_;
    const int64_t now = Now();
    to_wall = WallNow() - now;
    *record.mutable_status() = StatusAt(now);
  }
  record.set_rank(rank_);
  record.set_world_size(world_size_);
  record.set_host(host_);
  record.set_pid(getpid());
  record.set_attempt(attempt_);
  record.set_time(Seconds(WallNow()));
  record.set_ending(ending);
  const uint64_t first = events > kEvents ? events - kEvents : 0;
  record.set_earlier_events(first);
  for (uint64_t i = first; i < events; ++i) {
    const Slot& slot = ring[i % kEvents];
    Event& event = *record.add_events();
    event.set_time_ns(slot.time_ns + to_wall);
    event.set_type(slot.type);
    if (slot.step >= 0) event.set_step(slot.step);
    event.set_phase(slot.phase);
    event.set_executor(static_cast<uint32_t>(slot.executor));
    event.set_idle(slot.idle);
    event.set_collective(slot.collective);
    event.set_kind(slot.kind);
    event.set_bytes(slot.bytes);
    event.set_text(std::string(slot.text.view()));
  }
  return record;
}

}  // namespace lockstep::comm
