// Events that captured work records, waited for outside of it: the only order between lanes and what follows them
// (base/device.h). Nothing is waited for by the host, so that what goes ahead sees old values.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <thread>

#include "base/arena.h"
#include "tests/gpu/kits.h"

namespace lockstep::gpu {
namespace {

constexpr size_t kBytes = size_t{1} << 20;
constexpr size_t kLinks = 100;

/// A value's long way: copied from place to place, as captured work that records an event at its end.
class Chain {
 public:
  Chain(step::DeviceKit& kit, DeviceEvent& event)
      : stream_(*kit.stream), places_(kit.device->Allocate((kLinks + 1) * kBytes, "places")) {
    for (size_t i = 0; i < pinned_.size(); ++i) {
      pinned_[i] = kit.device->AllocatePinned(kBytes);
      std::fill_n(pinned_[i]->As<uint32_t>(), kBytes / sizeof(uint32_t), static_cast<uint32_t>(i));
    }
    stream_.BeginCapture();
    for (size_t i = 0; i < kLinks; ++i) stream_.Copy(Place(i + 1), Place(i), kBytes);
    stream_.Record(event);
    graph_ = stream_.EndCapture();
  }
  /// Enqueues the way of `value`, below 8.
  void Run(size_t value) {
    stream_.Copy(Place(0), pinned_[value]->data(), kBytes);
    stream_.Run(*graph_);
  }
  std::byte* end() const { return Place(kLinks); }

 private:
  std::byte* Place(size_t i) const { return places_->data() + i * kBytes; }

  DeviceStream& stream_;
  std::unique_ptr<DeviceMemory> places_;
  std::array<std::unique_ptr<DeviceMemory>, 8> pinned_;
  std::unique_ptr<DeviceGraph> graph_;
};

class CapturedEvents : public testing::Test {
 protected:
  /// Enqueues, behind the event, the copy of what a chain came to; on another stream than the chain's.
  void Take(const Chain& chain) {
    seen_.push_back(kit_.device->AllocatePinned(kBytes));
    other_->Wait(*event_);
    other_->Copy(seen_.back()->data(), chain.end(), kBytes);
    other_->Record(*taken_);
  }
  /// What each Take saw; kMixed where not all of it is one value.
  std::vector<uint32_t> Seen() {
    while (!taken_->Done()) std::this_thread::yield();
    std::vector<uint32_t> values;
    for (const auto& memory : seen_) {
      const std::span<const uint32_t> all(memory->As<uint32_t>(), kBytes / sizeof(uint32_t));
      values.push_back(std::ranges::count(all, all[0]) == std::ssize(all) ? all[0] : kMixed);
    }
    return values;
  }

  static constexpr uint32_t kMixed = 99;
  step::DeviceKit& kit_ = Kit();
  std::unique_ptr<DeviceStream> other_ = kit_.device->MakeStream();
  std::unique_ptr<DeviceEvent> event_ = kit_.device->MakeEvent(), taken_ = kit_.device->MakeEvent();
  std::vector<std::unique_ptr<DeviceMemory>> seen_;
};

TEST_F(CapturedEvents, EachRunRecordsThemAnew) {
  Chain chain(kit_, *event_);
  std::vector<uint32_t> expected;
  for (uint32_t value = 1; value < 6; ++value) {
    kit_.stream->Wait(*taken_);
    chain.Run(value);
    Take(chain);
    expected.push_back(value);
  }
  EXPECT_EQ(Seen(), expected);
}

TEST_F(CapturedEvents, OfSeveralRunsTheLastCounts) {
  Chain chain(kit_, *event_);
  for (size_t value = 1; value < 4; ++value) chain.Run(value);
  Take(chain);
  EXPECT_EQ(Seen(), std::vector<uint32_t>{3});
}

TEST_F(CapturedEvents, TwoGraphsMayRecordTheSame) {
  Chain first(kit_, *event_), second(kit_, *event_);
  first.Run(1);
  second.Run(2);
  Take(second);
  kit_.stream->Wait(*taken_);
  first.Run(3);
  Take(first);
  EXPECT_EQ(Seen(), (std::vector<uint32_t>{2, 3}));
}

// A launch asks for the last error; that an event is not done is none.
TEST_F(CapturedEvents, KernelsStartWhileOneIsNotDone) {
  Chain chain(kit_, *event_);
  const auto weights = kit_.device->Allocate(kChunkElements * sizeof(float), "weights"),
             hash = kit_.device->Allocate(sizeof(uint64_t), "a hash");
  optim::DeviceSlice slice;
  slice.size = kChunkElements;
  slice.weights = weights->As<float>();
  for (size_t value = 1; value < 6; ++value) chain.Run(value);
  int looks = 0;
  while (!event_->Done()) {
    if (looks++ < 100) kit_.kernels->Hash(*other_, slice, hash->As<uint64_t>());
  }
  other_->Synchronize();
  EXPECT_GT(looks, 0);
}

}  // namespace
}  // namespace lockstep::gpu
