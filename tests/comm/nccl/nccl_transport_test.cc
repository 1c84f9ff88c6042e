// The transport over a library that takes NCCL's place and fails where a test says. It needs NCCL's header alone, and
// no GPU.
#include "comm/nccl/nccl_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nccl.h>

#include "base/cuda/cuda_device.h"
#include "base/emulated_device.h"
#include "base/error.h"
#include "comm/local/local_communicator.h"

namespace {

int made = 0, aborted = 0;

}  // namespace

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId*) { return ncclSuccess; }
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int, ncclUniqueId, int, ncclConfig_t*) {
  *comm = reinterpret_cast<ncclComm_t>(&made);
  ++made;
  return ncclInProgress;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* state) {
  *state = ncclRemoteError;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t) {
  ++aborted;
  return ncclSuccess;
}
const char* ncclGetLastError(ncclComm_t) { return "the peer is gone"; }
const char* ncclGetErrorString(ncclResult_t) { return "remote error"; }
ncclResult_t ncclGetVersion(int* version) {
  *version = 22809;
  return ncclSuccess;
}
ncclResult_t ncclGroupStart() { return ncclSuccess; }
ncclResult_t ncclGroupEnd() { return ncclSuccess; }
ncclResult_t ncclSend(const void*, size_t, ncclDataType_t, int, ncclComm_t, cudaStream_t) { return ncclSuccess; }
ncclResult_t ncclRecv(void*, size_t, ncclDataType_t, int, ncclComm_t, cudaStream_t) { return ncclSuccess; }

}  // extern "C"

namespace lockstep {

cudaStream_t NativeStream(DeviceStream&) { return nullptr; }

namespace comm {
namespace {

TEST(NcclTransportTest, ATransportThatCannotConnectLeavesNothingBehind) {
  const auto world = MakeLocalWorld({});
  const std::unique_ptr<Device> device = MakeEmulatedDevice();
  try {
    MakeNcclTransport(*world.front(), *device);
    FAIL() << "connected";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), testing::HasSubstr("the connection of devices: remote error: the peer is gone"));
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(aborted, 1);
}

}  // namespace
}  // namespace comm
}  // namespace lockstep
