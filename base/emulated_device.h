// A device played by the host: each stream is a thread that works off a queue, so that work which is not ordered by
// events really runs side by side, and a missing event shows as wrong results (or to ThreadSanitizer).
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/device.h"
#include "base/mutex.h"

namespace lockstep {

class EmulatedStream final : public DeviceStream {
 public:
  /// `copy_time`: what copying a kibibyte takes at least.
  explicit EmulatedStream(std::chrono::nanoseconds copy_time = {});
  ~EmulatedStream() override;

  /// Runs `work` on the stream's thread, in its turn.
  void Enqueue(std::function<void()> work);

  void Copy(void* to, const void* from, size_t bytes) override;
  void Clear(void* to, size_t bytes) override;
  void Record(DeviceEvent& event) override;
  void Wait(DeviceEvent& event) override;
  void BeginCapture() override;
  std::unique_ptr<DeviceGraph> EndCapture() override;
  void Run(DeviceGraph& graph) override;
  void Synchronize() override;
  /// How often captured work was enqueued.
  int64_t runs() const { return runs_; }

 private:
  void Loop();
  /// Enqueues all of `work`, after `before` has run on the caller's thread; nothing of either where the stream has
  /// failed: an event that was recorded and is never reached would hold up other streams for good.
  void Push(std::span<const std::function<void()>> work, std::span<const std::function<void()>> before);

  const std::chrono::nanoseconds copy_time_;
  std::atomic<int64_t> runs_ = 0;
  bool capturing_ = false;
  std::vector<std::function<void()>> captured_;
  std::vector<std::function<void()>> on_run_;  ///< of the captured work: what the caller's thread does in Run

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> queue_ GUARDED_BY(mutex_);
  bool busy_ GUARDED_BY(mutex_) = false;
  bool stop_ GUARDED_BY(mutex_) = false;
  std::exception_ptr error_ GUARDED_BY(mutex_);
  std::thread thread_;
};

/// `memory`: what Allocate can give in all; `copy_time`: of its streams.
std::unique_ptr<Device> MakeEmulatedDevice(size_t memory = size_t{1} << 40, const std::string& uuid = "EMULATED",
                                           std::chrono::nanoseconds copy_time = {});

}  // namespace lockstep
