// An event that captured work records orders the work of streams outside of it: all that stands between lanes and
// updates.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "tests/gpu/kits.h"

namespace lockstep::gpu {
namespace {

constexpr size_t kBytes = size_t{1} << 20;

class EventOrderTest : public testing::Test {
 protected:
  /// Captured work that takes a while, has `value` in the last place of memory_ at its end, and records event_ then. On
  /// a GPU it takes some 20 ms.
  std::unique_ptr<DeviceGraph> Slow(std::byte value) {
    const size_t bytes = slow_->size() / 2;
    std::byte* const sent = values_->data() + static_cast<size_t>(value);
    *sent = value;
    inner_->BeginCapture();
    for (int i = 0; i < 40; ++i) inner_->Copy(slow_->data() + bytes, slow_->data(), bytes);
    inner_->Copy(memory_->data() + kBytes - 1, sent, 1);
    inner_->Record(*event_);
    // What comes behind the event is none of the others' concern.
    inner_->Copy(slow_->data() + bytes, slow_->data(), bytes);
    return inner_->EndCapture();
  }

  /// What another stream sees that waits for the event alone.
  std::byte SeenBehindTheEvent() {
    outer_->Wait(*event_);
    outer_->Copy(seen_->data(), memory_->data(), kBytes);
    outer_->Synchronize();
    return seen_->data()[kBytes - 1];
  }

  static size_t SlowBytes(Device& device) {
    const bool emulated = device.info().processors == 1;
    return emulated ? kBytes : std::min(device.free_memory() / 4, size_t{2} << 30);
  }

  Device& device_ = *Kit().device;
  std::unique_ptr<DeviceStream> inner_ = device_.MakeStream(), outer_ = device_.MakeStream();
  std::unique_ptr<DeviceEvent> event_ = device_.MakeEvent();
  std::unique_ptr<DeviceMemory> memory_ = device_.Allocate(kBytes, "memory"),
                                slow_ = device_.Allocate(SlowBytes(device_), "copies that take a while"),
                                seen_ = device_.AllocatePinned(kBytes), values_ = device_.AllocatePinned(256);
};

TEST_F(EventOrderTest, AnEventOfCapturedWorkHoldsUpStreamsOutsideOfIt) {
  const auto first = Slow(std::byte{1}), second = Slow(std::byte{2});
  // Again and again, and by turns from two graphs that record the same event.
  for (int round = 0; round < 3; ++round) {
    inner_->Run(*first);
    EXPECT_EQ(SeenBehindTheEvent(), std::byte{1}) << round;
    inner_->Run(*second);
    EXPECT_EQ(SeenBehindTheEvent(), std::byte{2}) << round;
    EXPECT_TRUE(event_->Done());
  }
  inner_->Synchronize();
}

}  // namespace
}  // namespace lockstep::gpu
