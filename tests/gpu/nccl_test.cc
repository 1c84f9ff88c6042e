// NCCL with one card: a communicator of one rank that sends to itself goes through everything that several ranks do,
// save the way between cards: initialisation that does not block, messages in a group, their place in the stream's
// order, the state that is polled, and the end by force.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "comm/local/local_communicator.h"
#include "tests/gpu/kits.h"

namespace lockstep::gpu {
namespace {

constexpr size_t kBytes = size_t{4} << 20;

class NcclTest : public testing::Test {
 protected:
  void SetUp() override {
    step::DeviceKit& kit = Kit();
    if (!kit.connect) GTEST_SKIP() << "this device is connected with no other by NCCL";
    transport_ = kit.connect(*world_.front(), *kit.device);
    stream_ = kit.device->MakeStream();
    from_ = kit.device->Allocate(kBytes, "what is sent");
    to_ = kit.device->Allocate(kBytes, "what is received");
    host_ = kit.device->AllocatePinned(kBytes);
    back_ = kit.device->AllocatePinned(kBytes);
  }

  /// Sends from_ to to_, after what is on the stream.
  void SendToItself() {
    transport_->Exchange(*stream_, std::vector{comm::DeviceTransport::Part{0, from_->data(), kBytes}},
                         std::vector{comm::DeviceTransport::Part{0, to_->data(), kBytes}}, "a message to itself");
  }

  std::vector<std::unique_ptr<comm::Communicator>> world_ = comm::MakeLocalWorld({});
  std::unique_ptr<comm::DeviceTransport> transport_;
  std::unique_ptr<DeviceStream> stream_;
  std::unique_ptr<DeviceMemory> from_, to_, host_, back_;
};

TEST_F(NcclTest, AMessageToItselfTravelsInTheStreamsOrder) {
  for (const int value : {1, 2, 3}) {
    std::memset(host_->data(), value, kBytes);
    // Nothing waits in between: what is sent is what the copy before brings, what comes back is what was received.
    stream_->Copy(from_->data(), host_->data(), kBytes);
    SendToItself();
    stream_->Clear(from_->data(), kBytes);
    stream_->Copy(back_->data(), to_->data(), kBytes);
    const auto done = Kit().device->MakeEvent();
    stream_->Record(*done);
    while (!done->Done()) transport_->Poll();
    EXPECT_EQ(std::memcmp(back_->data(), host_->data(), kBytes), 0) << value;
  }
}

TEST_F(NcclTest, AnAbortEndsWhatIsUnderWay) {
  for (int i = 0; i < 20; ++i) SendToItself();
  transport_->Abort();
  stream_->Synchronize();
  transport_->Poll();
}

TEST_F(NcclTest, SaysItsVersion) { EXPECT_EQ(transport_->description().rfind("NCCL ", 0), 0u); }

}  // namespace
}  // namespace lockstep::gpu
