#include "base/emulated_device.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>
#include <vector>

#include "base/error.h"
#include "tests/base/error_of.h"

namespace lockstep {
namespace {

class EmulatedDeviceTest : public testing::Test {
 protected:
  std::unique_ptr<EmulatedStream> MakeStream() { return std::make_unique<EmulatedStream>(); }

  std::unique_ptr<Device> device_ = MakeEmulatedDevice();
};

TEST_F(EmulatedDeviceTest, AStreamRunsItsWorkInOrder) {
  const auto stream = MakeStream();
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) stream->Enqueue([&order, i] { order.push_back(i); });
  stream->Synchronize();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST_F(EmulatedDeviceTest, StreamsRunBesideEachOtherAndTheHost) {
  const auto a = MakeStream(), b = MakeStream();
  // Nobody passes before all three are here.
  std::latch meeting(3);
  a->Enqueue([&] { meeting.arrive_and_wait(); });
  b->Enqueue([&] { meeting.arrive_and_wait(); });
  meeting.arrive_and_wait();
  a->Synchronize();
  b->Synchronize();
}

TEST_F(EmulatedDeviceTest, CopiesAndClears) {
  const auto memory = device_->Allocate(8, "values"), pinned = device_->AllocatePinned(8);
  const auto stream = device_->MakeStream();
  EXPECT_EQ(memory->As<uint64_t>()[0], 0u) << "new memory is zeroed";
  pinned->As<uint32_t>()[0] = 5;
  pinned->As<uint32_t>()[1] = 7;
  stream->Copy(memory->data(), pinned->data(), 8);
  stream->Clear(memory->data(), 4);
  stream->Synchronize();
  EXPECT_EQ(memory->As<uint32_t>()[0], 0u);
  EXPECT_EQ(memory->As<uint32_t>()[1], 7u);
}

TEST_F(EmulatedDeviceTest, AWaitingStreamSeesWhatWasDoneBeforeTheEvent) {
  const auto a = MakeStream(), b = MakeStream();
  const auto event = device_->MakeEvent();
  std::latch gate(1);
  int value = 0, seen = 0;
  a->Enqueue([&] {
    gate.wait();
    value = 42;
  });
  a->Record(*event);
  b->Wait(*event);
  b->Enqueue([&] { seen = value; });
  EXPECT_FALSE(event->Done());
  gate.count_down();
  a->Synchronize();
  b->Synchronize();
  EXPECT_TRUE(event->Done());
  EXPECT_EQ(seen, 42);
}

TEST_F(EmulatedDeviceTest, AnEventThatWasNeverRecordedHoldsNobodyUp) {
  const auto stream = MakeStream();
  const auto event = device_->MakeEvent();
  EXPECT_TRUE(event->Done());
  stream->Wait(*event);
  stream->Synchronize();
}

TEST_F(EmulatedDeviceTest, AWaitIsForTheLastRecordBeforeIt) {
  const auto a = MakeStream(), b = MakeStream();
  const auto event = device_->MakeEvent();
  a->Record(*event);
  b->Wait(*event);
  std::latch gate(1);
  a->Enqueue([&] { gate.wait(); });
  a->Record(*event);
  b->Synchronize();  // would never return if b waited for the second record
  EXPECT_FALSE(event->Done());
  gate.count_down();
  a->Synchronize();
  EXPECT_TRUE(event->Done());
}

TEST_F(EmulatedDeviceTest, CapturedWorkRunsWhenItsGraphDoes) {
  const auto memory = device_->Allocate(8, "values");
  auto* values = memory->As<int32_t>();
  const auto stream = MakeStream();
  stream->BeginCapture();
  stream->Copy(&values[1], &values[0], 4);
  stream->Enqueue([=] { ++values[1]; });
  const auto graph = stream->EndCapture();
  values[0] = 10;
  stream->Synchronize();
  EXPECT_EQ(values[1], 0) << "captured, not run";
  stream->Run(*graph);
  stream->Synchronize();
  EXPECT_EQ(values[1], 11);
  values[0] = 20;
  stream->Run(*graph);
  stream->Synchronize();
  EXPECT_EQ(values[1], 21) << "copies read their addresses anew";
}

TEST_F(EmulatedDeviceTest, EachRunOfAGraphRecordsItsEventsAnew) {
  constexpr int kRuns = 20;
  const auto a = MakeStream(), b = MakeStream();
  const auto event = device_->MakeEvent(), taken = device_->MakeEvent();
  int value = 0;
  a->BeginCapture();
  a->Enqueue([&] { ++value; });
  a->Record(*event);
  const auto graph = a->EndCapture();
  EXPECT_TRUE(event->Done()) << "capturing records nothing";

  // The values that b takes after each run, while a goes on to the next as soon as b has taken it.
  std::vector<int> seen;
  for (int run = 0; run < kRuns; ++run) {
    a->Wait(*taken);
    a->Run(*graph);
    b->Wait(*event);
    b->Enqueue([&] { seen.push_back(value); });
    b->Record(*taken);
  }
  a->Synchronize();
  b->Synchronize();
  EXPECT_TRUE(event->Done());
  ASSERT_EQ(seen.size(), static_cast<size_t>(kRuns));
  for (int run = 0; run < kRuns; ++run) EXPECT_EQ(seen[static_cast<size_t>(run)], run + 1);
}

TEST_F(EmulatedDeviceTest, AnEventOfAGraphIsNotDoneBeforeItsRunIs) {
  const auto stream = MakeStream();
  const auto event = device_->MakeEvent();
  stream->BeginCapture();
  stream->Record(*event);
  const auto graph = stream->EndCapture();
  stream->Run(*graph);
  stream->Synchronize();
  EXPECT_TRUE(event->Done());
  std::latch gate(1);
  stream->Enqueue([&] { gate.wait(); });
  stream->Run(*graph);
  EXPECT_FALSE(event->Done()) << "the first run's record does not count for the second";
  gate.count_down();
  stream->Synchronize();
  EXPECT_TRUE(event->Done());
}

TEST_F(EmulatedDeviceTest, WhatFailsOnAStreamAppearsAtTheNextCall) {
  const auto stream = MakeStream();
  stream->Enqueue([] { throw Error(ErrorKind::kPeer, "the card fell off the bus"); });
  const auto synchronize = [&] { stream->Synchronize(); };
  EXPECT_EQ(ErrorOf(synchronize).kind(), ErrorKind::kPeer);
  EXPECT_EQ(ErrorOf(synchronize).message(), "the card fell off the bus") << "and at each call from then on";
  int from = 1, to = 0;
  EXPECT_EQ(ErrorOf([&] { stream->Copy(&to, &from, sizeof to); }).message(), "the card fell off the bus");
}

/// A stream that has failed and says so.
std::unique_ptr<EmulatedStream> MakeFailedStream() {
  auto stream = std::make_unique<EmulatedStream>();
  stream->Enqueue([] { throw Error(ErrorKind::kPeer, "the card fell off the bus"); });
  EXPECT_EQ(ErrorOf([&] { stream->Synchronize(); }).kind(), ErrorKind::kPeer);
  return stream;
}

TEST_F(EmulatedDeviceTest, WhatWasRecordedBeforeAFailureWakesThoseWhoWait) {
  const auto a = MakeStream(), b = MakeStream();
  const auto event = device_->MakeEvent();
  std::latch gate(1);
  a->Enqueue([&] {
    gate.wait();
    throw Error(ErrorKind::kPeer, "the card fell off the bus");
  });
  a->Record(*event);
  b->Wait(*event);
  gate.count_down();
  b->Synchronize();
  EXPECT_TRUE(event->Done());
}

TEST_F(EmulatedDeviceTest, AFailedStreamRecordsNothingThatOthersWouldWaitFor) {
  const auto event = device_->MakeEvent();
  const auto failed = MakeFailedStream();
  EXPECT_EQ(ErrorOf([&] { failed->Record(*event); }).kind(), ErrorKind::kPeer);
  EXPECT_TRUE(event->Done());
  const auto other = MakeStream();
  other->Wait(*event);
  other->Synchronize();  // would never return, nor would the stream's end
}

TEST_F(EmulatedDeviceTest, AFailedStreamRunsNoPartOfAGraph) {
  const auto first = device_->MakeEvent(), last = device_->MakeEvent();
  const auto stream = MakeStream();
  int runs = 0;
  stream->BeginCapture();
  stream->Record(*first);
  stream->Enqueue([&] { ++runs; });
  stream->Record(*last);
  const auto graph = stream->EndCapture();
  stream->Run(*graph);
  stream->Enqueue([] { throw Error(ErrorKind::kPeer, "the card fell off the bus"); });
  EXPECT_EQ(ErrorOf([&] { stream->Synchronize(); }).kind(), ErrorKind::kPeer);
  EXPECT_EQ(ErrorOf([&] { stream->Run(*graph); }).message(), "the card fell off the bus");
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(first->Done());
  EXPECT_TRUE(last->Done());
}

TEST_F(EmulatedDeviceTest, AnEventOfSeveralStreamsIsDoneWithItsLastRecord) {
  const auto a = MakeStream(), b = MakeStream();
  const auto event = device_->MakeEvent();
  std::latch gate(1);
  a->Enqueue([&] { gate.wait(); });
  a->Record(*event);
  b->Record(*event);
  b->Synchronize();
  EXPECT_TRUE(event->Done());
  gate.count_down();
  a->Synchronize();
  EXPECT_TRUE(event->Done()) << "an earlier record, reached later, changes nothing";
}

// Sanitizers see what is touched after its end.
TEST_F(EmulatedDeviceTest, AnEventMayEndAsSoonAsItIsDone) {
  const auto a = MakeStream(), b = MakeStream();
  for (int i = 0; i < 500; ++i) {
    auto event = device_->MakeEvent();
    a->Record(*event);
    if (i % 2 == 0) {
      b->Wait(*event);
      b->Synchronize();
    } else {
      while (!event->Done()) std::this_thread::yield();
    }
    event.reset();
  }
}

TEST_F(EmulatedDeviceTest, AnEventMayEndBeforeTheWorkThatUsesIt) {
  const auto a = MakeStream(), b = MakeStream();
  auto event = device_->MakeEvent();
  std::latch gate(1);
  int value = 0, seen = 0;
  a->Enqueue([&] {
    gate.wait();
    value = 42;
  });
  a->Record(*event);
  b->Wait(*event);
  b->Enqueue([&] { seen = value; });
  event.reset();
  gate.count_down();
  b->Synchronize();
  EXPECT_EQ(seen, 42);
}

TEST_F(EmulatedDeviceTest, TooLittleMemoryIsAnErrorThatNamesWhatItWasFor) {
  const auto device = MakeEmulatedDevice(1000);
  auto parameters = device->Allocate(600, "parameters");
  EXPECT_EQ(device->free_memory(), 400u);
  const Error error = ErrorOf([&] { device->Allocate(500, "activations"); });
  EXPECT_EQ(error.kind(), ErrorKind::kMemory);
  for (const char* part : {"activations", "500", "400"}) {
    EXPECT_NE(error.message().find(part), std::string::npos) << error.message();
  }
  EXPECT_EQ(device->AllocatePinned(5000)->size(), 5000u) << "the host's memory is another matter";
  parameters.reset();
  EXPECT_EQ(device->Allocate(1000, "activations")->size(), 1000u) << "freed memory can be had again";
}

TEST_F(EmulatedDeviceTest, AStreamThatEndsDoesItsWorkFirst) {
  int done = 0;
  {
    const auto stream = MakeStream();
    for (int i = 0; i < 10; ++i) stream->Enqueue([&] { ++done; });
  }
  EXPECT_EQ(done, 10);
}

}  // namespace
}  // namespace lockstep
