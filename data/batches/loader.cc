#include "data/batches/loader.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "base/error.h"
#include "base/mutex.h"
#include "base/threads.h"
#include "data/batches/lane_buffers.h"

namespace lockstep::data {
namespace {

/// One batch's memory, and where it is on its way: free -> filling -> ready -> held -> free.
struct Slot {
  enum class State { kFree, kFilling, kReady, kHeld };

  State state = State::kFree;
  std::exception_ptr error;  ///< of filling; ready then means that Acquire throws it
  LaneBatch batch;           ///< while filling, only the filling thread touches it
  std::unique_ptr<LaneBuffers> buffers;
};

/// A lane has a ring of its own, so that executors may ask for lanes in any order: none waits for a slot that another's
/// batches fill.
struct LaneRing {
  std::vector<Slot> slots;
  uint64_t next_fill = 0;     ///< step
  uint64_t next_acquire = 0;  ///< step

  Slot& At(uint64_t step, uint64_t first_step) { return slots[(step - first_step) % slots.size()]; }
};

}  // namespace

struct Loader::State {
  explicit State(Options o) : options(std::move(o)) {}
  ~State() { Stop(); }

  void Stop();
  void Work(int thread);
  /// The slot of the earliest step, and of its lowest lane, that can be filled; nullptr where all are taken.
  Slot* Claim() REQUIRES(mutex);
  void Fill(Slot& slot, Sample& sample, std::vector<std::byte*>& rows) const;
  LaneRing& RingOf(int lane) REQUIRES(mutex) { return rings[static_cast<size_t>(lane - options.mine.begin)]; }

  const Options options;
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;

  Mutex mutex;
  CondVar slot_free, batch_ready;
  std::vector<LaneRing> rings GUARDED_BY(mutex);
};

void Loader::State::Stop() {
  {
    MutexLock lock(mutex);
    stop = true;
  }
  slot_free.NotifyAll();
  for (std::thread& thread : threads) thread.join();
  threads.clear();
}

Slot* Loader::State::Claim() {
  LaneRing* best = nullptr;
  for (LaneRing& ring : rings) {
    if (ring.next_fill >= options.end_step) continue;
    if (ring.At(ring.next_fill, options.first_step).state != Slot::State::kFree) continue;
    if (best == nullptr || ring.next_fill < best->next_fill) best = &ring;
  }
  if (best == nullptr) return nullptr;
  Slot& slot = best->At(best->next_fill, options.first_step);
  slot.state = Slot::State::kFilling;
  slot.batch.step = best->next_fill++;
  slot.batch.lane = options.mine.begin + static_cast<int>(best - rings.data());
  return &slot;
}

void Loader::State::Fill(Slot& slot, Sample& sample, std::vector<std::byte*>& pointers) const {
  LaneBatch& batch = slot.batch;
  options.batches->Lane(batch.step, batch.lane, batch.samples);
  batch.denominators = options.batches->Denominators(batch.step);
  slot.buffers->Arrange(batch);
  const std::vector<Sampler::Pick>& picks = batch.samples.picks;
  const int64_t length = options.batches->shapes()[static_cast<size_t>(batch.samples.shape)].length;
  batch.delivery = {.first_epoch = batch.samples.first_position / options.dataset->size()};
  for (size_t row = 0; row < picks.size() && !stop; ++row) {
    const Sampler::Pick pick = picks[row];
    options.dataset->Read(pick.epoch, pick.id, sample);
    PointAtRow(batch, static_cast<int64_t>(row), pointers);
    options.transform->Apply(sample, pick.epoch, pick.id, /*augment=*/true, length, pointers);
    batch.delivery.Add(pick.epoch, pick.id);
  }
  if (stop) return;
  options.transform->MixRows(picks, std::span(batch.data).first(batch.data.size() - 1));
  slot.buffers->Round(batch);
}

void Loader::State::Work(int thread) {
  PrepareComputeThread(1, fmt::format("loader-{}", thread));
  Sample sample;
  std::vector<std::byte*> pointers;
  MutexLock lock(mutex);
  for (;;) {
    Slot* slot = nullptr;
    while (!stop && (slot = Claim()) == nullptr) slot_free.Wait(mutex);
    if (stop) return;
    lock.Unlock();
    try {
      Fill(*slot, sample, pointers);
    } catch (...) {
      slot->error = std::current_exception();
    }
    lock.Lock();
    slot->state = Slot::State::kReady;
    batch_ready.NotifyAll();
  }
}

int BatchesALane(int lanes, int wanted) {
  constexpr int kLeastBatches = 4, kStepsAhead = 2;
  if (wanted == 0) wanted = std::max(kLeastBatches, kStepsAhead * lanes);
  return (wanted + lanes - 1) / lanes;
}

Loader::Loader(Options options) : state_(std::make_unique<State>(std::move(options))) {
  const Options& o = state_->options;
  CHECK(o.transform != nullptr && o.batches != nullptr && o.threads >= 1);
  CHECK(0 <= o.mine.begin && o.mine.begin <= o.mine.end);
  CHECK(o.first_step <= o.end_step);
  const int lanes = o.mine.size();
  if (lanes == 0) return;
  const MutexLock lock(state_->mutex);
  state_->rings.resize(static_cast<size_t>(lanes));
  for (LaneRing& ring : state_->rings) {
    ring.next_fill = ring.next_acquire = o.first_step;
    ring.slots.resize(static_cast<size_t>(BatchesALane(lanes, o.prefetch_batches)));
    for (Slot& slot : ring.slots) {
      slot.buffers = std::make_unique<LaneBuffers>(*o.transform, o.batches->shapes(), o.rounded, slot.batch);
    }
  }
  for (int i = 0; i < o.threads; ++i)
    state_->threads.push_back(StartThread("loader", [state = state_.get(), i] { state->Work(i); }));
}

Loader::~Loader() = default;

const LaneBatch* Loader::Acquire(uint64_t step, int lane) {
  const Options& o = state_->options;
  CHECK(lane >= o.mine.begin && lane < o.mine.end, "lane {} of [{}, {})", lane, o.mine.begin, o.mine.end);
  CHECK(step >= o.first_step && step < o.end_step, "step {} of [{}, {})", step, o.first_step, o.end_step);
  MutexLock lock(state_->mutex);
  LaneRing& ring = state_->RingOf(lane);
  CHECK(step == ring.next_acquire, "step {} of lane {} where {} is next", step, lane, ring.next_acquire);
  Slot& slot = ring.At(step, o.first_step);
  while (slot.state != Slot::State::kReady) state_->batch_ready.Wait(state_->mutex);
  if (slot.error) std::rethrow_exception(slot.error);
  slot.state = Slot::State::kHeld;
  ++ring.next_acquire;
  return &slot.batch;
}

void Loader::Release(const LaneBatch* batch) {
  {
    MutexLock lock(state_->mutex);
    Slot& slot = state_->RingOf(batch->lane).At(batch->step, state_->options.first_step);
    CHECK(&slot.batch == batch && slot.state == Slot::State::kHeld, "released twice, or never acquired");
    slot.state = Slot::State::kFree;
  }
  state_->slot_free.NotifyOne();
}

bool Loader::Ready(uint64_t step, int lane) {
  MutexLock lock(state_->mutex);
  LaneRing& ring = state_->RingOf(lane);
  return step == ring.next_acquire && ring.At(step, state_->options.first_step).state == Slot::State::kReady;
}

}  // namespace lockstep::data
