#include "base/emulated_device.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"

namespace lockstep {
namespace {

/// What an event has come to. Streams that record it or wait for it share it: an event may be destroyed before they are
/// done with it.
class EventState {
 public:
  /// A number for a new record: who waits, waits for the number that it saw.
  uint64_t Record() {
    MutexLock lock(mutex_);
    return ++recorded_;
  }
  void Reach(uint64_t number) {
    MutexLock lock(mutex_);
    reached_ = std::max(reached_, number);
    changed_.NotifyAll();
  }
  void Await(uint64_t number) {
    MutexLock lock(mutex_);
    while (reached_ < number) changed_.Wait(mutex_);
  }
  uint64_t recorded() {
    MutexLock lock(mutex_);
    return recorded_;
  }
  bool Done() {
    MutexLock lock(mutex_);
    return reached_ == recorded_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  uint64_t recorded_ GUARDED_BY(mutex_) = 0;
  uint64_t reached_ GUARDED_BY(mutex_) = 0;
};

class EmulatedEvent final : public DeviceEvent {
 public:
  bool Done() override { return state_->Done(); }
  const std::shared_ptr<EventState>& state() const { return state_; }

 private:
  const std::shared_ptr<EventState> state_ = std::make_shared<EventState>();
};

std::shared_ptr<EventState> StateOf(DeviceEvent& event) { return static_cast<EmulatedEvent&>(event).state(); }

/// Captured work, and for each event that it records the number that its present run records.
class EmulatedGraph final : public DeviceGraph {
 public:
  std::vector<std::function<void()>> work;
  std::vector<std::function<void()>> on_run;
};

class EmulatedMemory final : public DeviceMemory {
 public:
  EmulatedMemory(Buffer buffer, std::shared_ptr<std::atomic<size_t>> free)
      : DeviceMemory(buffer.data(), buffer.size()), buffer_(std::move(buffer)), free_(std::move(free)) {}
  ~EmulatedMemory() override {
    if (free_) *free_ += size();
  }

 private:
  Buffer buffer_;
  std::shared_ptr<std::atomic<size_t>> free_;  ///< null: not the device's
};

class EmulatedDevice final : public Device {
 public:
  EmulatedDevice(size_t memory, const std::string& uuid, std::chrono::nanoseconds copy_time)
      : free_(std::make_shared<std::atomic<size_t>>(memory)), copy_time_(copy_time) {
    info_.name = "emulated device";
    info_.uuid = uuid;
    info_.memory = memory;
    info_.processors = 1;
    info_.bf16 = true;
  }

  const DeviceInfo& info() const override { return info_; }
  size_t free_memory() const override { return *free_; }

  std::unique_ptr<DeviceMemory> Allocate(size_t bytes, const std::string& what) override {
    if (bytes > *free_) {
      throw Error(ErrorKind::kMemory,
                  fmt::format("{}: {} bytes of device memory are needed and {} are free", what, bytes, free_->load()));
    }
    *free_ -= bytes;
    return std::make_unique<EmulatedMemory>(Buffer(bytes), free_);
  }
  std::unique_ptr<DeviceMemory> AllocatePinned(size_t bytes) override {
    return std::make_unique<EmulatedMemory>(Buffer(bytes), nullptr);
  }
  std::unique_ptr<DeviceStream> MakeStream() override { return std::make_unique<EmulatedStream>(copy_time_); }
  std::unique_ptr<DeviceEvent> MakeEvent() override { return std::make_unique<EmulatedEvent>(); }
  void UseOnThisThread() override {}

 private:
  DeviceInfo info_;
  std::shared_ptr<std::atomic<size_t>> free_;
  const std::chrono::nanoseconds copy_time_;
};

}  // namespace

EmulatedStream::EmulatedStream(std::chrono::nanoseconds copy_time)
    : copy_time_(copy_time), thread_([this] { Loop(); }) {}

EmulatedStream::~EmulatedStream() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void EmulatedStream::Loop() {
  PrepareComputeThread(1, "device-stream");
  MutexLock lock(mutex_);
  while (true) {
    while (!stop_ && queue_.empty()) changed_.Wait(mutex_);
    if (queue_.empty()) return;
    const std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.Unlock();
    std::exception_ptr error;
    try {
      work();
    } catch (...) {
      error = std::current_exception();
    }
    lock.Lock();
    if (error && !error_) error_ = std::move(error);
    busy_ = false;
    changed_.NotifyAll();
  }
}

void EmulatedStream::Enqueue(std::function<void()> work) {
  if (capturing_) {
    captured_.push_back(std::move(work));
    return;
  }
  Push({&work, 1}, {});
}

void EmulatedStream::Push(std::span<const std::function<void()>> work, std::span<const std::function<void()>> before) {
  {
    MutexLock lock(mutex_);
    if (error_) std::rethrow_exception(error_);
    for (const auto& action : before) action();
    queue_.insert(queue_.end(), work.begin(), work.end());
  }
  changed_.NotifyAll();
}

void EmulatedStream::Copy(void* to, const void* from, size_t bytes) {
  const auto nap = copy_time_ * (bytes / 1024);
  Enqueue([=] {
    if (nap.count() > 0) std::this_thread::sleep_for(nap);
    std::memcpy(to, from, bytes);
  });
}

void EmulatedStream::Clear(void* to, size_t bytes) {
  Enqueue([=] { std::memset(to, 0, bytes); });
}

void EmulatedStream::Record(DeviceEvent& event) {
  // A record's number is drawn when it is enqueued (each run of a graph anew), and reached when the stream comes to it.
  struct Numbers {
    Mutex mutex;
    std::deque<uint64_t> drawn GUARDED_BY(mutex);
  };
  auto numbers = std::make_shared<Numbers>();
  const std::function<void()> draw = [state = StateOf(event), numbers] {
    MutexLock lock(numbers->mutex);
    numbers->drawn.push_back(state->Record());
  };
  const std::function<void()> reach = [state = StateOf(event), numbers] {
    uint64_t number;
    {
      MutexLock lock(numbers->mutex);
      number = numbers->drawn.front();
      numbers->drawn.pop_front();
    }
    state->Reach(number);
  };
  if (capturing_) {
    on_run_.push_back(draw);
    captured_.push_back(reach);
  } else {
    Push({&reach, 1}, {&draw, 1});
  }
}

void EmulatedStream::Wait(DeviceEvent& event) {
  std::shared_ptr<EventState> state = StateOf(event);
  const uint64_t number = state->recorded();
  Enqueue([state = std::move(state), number] { state->Await(number); });
}

void EmulatedStream::BeginCapture() {
  CHECK(!capturing_);
  capturing_ = true;
}

std::unique_ptr<DeviceGraph> EmulatedStream::EndCapture() {
  CHECK(capturing_);
  capturing_ = false;
  auto graph = std::make_unique<EmulatedGraph>();
  graph->work = std::move(captured_);
  graph->on_run = std::move(on_run_);
  captured_.clear();
  on_run_.clear();
  return graph;
}

void EmulatedStream::Run(DeviceGraph& graph) {
  auto& captured = static_cast<EmulatedGraph&>(graph);
  CHECK(!capturing_);
  Push(captured.work, captured.on_run);
  ++runs_;
}

void EmulatedStream::Synchronize() {
  MutexLock lock(mutex_);
  while (busy_ || !queue_.empty()) changed_.Wait(mutex_);
  if (error_) std::rethrow_exception(error_);
}

std::unique_ptr<Device> MakeEmulatedDevice(size_t memory, const std::string& uuid, std::chrono::nanoseconds copy_time) {
  return std::make_unique<EmulatedDevice>(memory, uuid, copy_time);
}

}  // namespace lockstep
