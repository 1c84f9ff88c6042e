// Lines as NCCL 2.19 to 2.28 write them.
#include "comm/nccl/nccl_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::comm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(NcclLog, GpusOfOneHostThatCopyDirectly) {
  const NcclWays ways = ReadNcclLog(R"(
h1:5663:5663 [0] NCCL INFO Bootstrap: Using eth0:10.0.0.1<0>
h1:5663:5663 [0] NCCL INFO cudaDriverVersion 13000
h1:5663:5663 [0] NCCL INFO NCCL version 2.28.9+cuda13.0
h1:5663:5809 [0] NCCL INFO NET/Plugin: Could not find: libnccl-net.so
h1:5663:5809 [0] NCCL INFO NET/IB : No device found.
h1:5663:5809 [0] NCCL INFO Failed to initialize NET plugin IB
h1:5663:5809 [0] NCCL INFO NET/Socket : Using [0]eth0:10.0.0.1<0>
h1:5663:5809 [0] NCCL INFO Initialized NET plugin Socket
h1:5663:5809 [0] NCCL INFO Assigned NET plugin Socket to comm
h1:5663:5809 [0] NCCL INFO Using network Socket
h1:5663:5809 [0] NCCL INFO Setting affinity for GPU 0 to ffff,ffff0000,00ffffff
h1:5663:5809 [0] NCCL INFO Channel 00/24 : 0 1 2 3
h1:5663:5809 [0] NCCL INFO Channel 01/24 : 0 1 2 3
h1:5663:5809 [0] NCCL INFO Trees [0] 1/-1/-1->0->-1 [1] 1/-1/-1->0->-1
h1:5663:5809 [0] NCCL INFO Channel 04/0 : 0[0] -> 7[7] via P2P/CUMEM
h1:5663:5809 [0] NCCL INFO Channel 05/0 : 0[0] -> 7[7] via P2P/CUMEM
h1:5669:5807 [6] NCCL INFO Channel 06/0 : 6[6] -> 5[5] via P2P/CUMEM/read
h1:5663:5809 [0] NCCL INFO Connected all rings, use ring PXN 0 GDR 1
)");
  EXPECT_EQ(ways.network, "Socket");
  EXPECT_THAT(ways.cards, ElementsAre("eth0"));
  EXPECT_THAT(ways.ways, ElementsAre("P2P/CUMEM", "P2P/CUMEM/read"));
  EXPECT_EQ(ways.ToString(), "P2P/CUMEM, P2P/CUMEM/read; network Socket (eth0)");
}

TEST(NcclLog, HostsOverInfiniBand) {
  const NcclWays ways = ReadNcclLog(R"(
h1:24570:24907 [0] NCCL INFO NET/IB : Using [0]mlx5_0:1/IB [1]mlx5_1:1/RoCE ; OOB ib0:192.168.11.1<0>
h1:24570:24907 [0] NCCL INFO Initialized NET plugin IB
h1:24570:24907 [0] NCCL INFO Using network IB
h1:24570:24907 [0] NCCL INFO GPU Direct RDMA Enabled for HCA 0 'mlx5_0'
h1:24570:24907 [0] NCCL INFO Channel 00/0 : 8[0] -> 0[0] [receive] via NET/IB/0/GDRDMA
h1:24570:24907 [0] NCCL INFO Channel 00/0 : 0[0] -> 8[0] [send] via NET/IB/1(4)/GDRDMA/Shared
h1:24570:24907 [0] NCCL INFO CollNet 00/0 : 0 [send] via COLLNET/SHARP/0
)");
  EXPECT_EQ(ways.network, "IB");
  EXPECT_THAT(ways.cards, ElementsAre("mlx5_0", "mlx5_1"));
  EXPECT_THAT(ways.ways, ElementsAre("NET/IB/0/GDRDMA", "NET/IB/1(4)/GDRDMA/Shared"));
}

TEST(NcclLog, ThroughTheHostsMemory) {
  const NcclWays ways = ReadNcclLog("h1:1:2 [0] NCCL INFO Channel 00 : 0[0] -> 1[1] via SHM/direct/direct\n");
  EXPECT_THAT(ways.ways, ElementsAre("SHM/direct/direct"));
  EXPECT_EQ(ways.ToString(), "SHM/direct/direct");
}

TEST(NcclLog, SeveralSocketInterfaces) {
  const NcclWays ways = ReadNcclLog(
      "h1:1:2 [0] NCCL INFO NET/Socket : Using [0]enp41s0f1:10.0.0.1<0> [1]virbr0:192.168.122.1<0> "
      "[2]eth2:fe80::1%eth2<0>\n");
  EXPECT_THAT(ways.cards, ElementsAre("enp41s0f1", "eth2", "virbr0"));
}

TEST(NcclLog, APluginsNetwork) {
  EXPECT_EQ(ReadNcclLog("h1:1:2 [0] NCCL INFO Using network AWS Libfabric\n").network, "AWS");
  EXPECT_EQ(ReadNcclLog("h1:1:2 [0] NCCL INFO Using network IBext_v8\n").network, "IBext_v8");
}

TEST(NcclLog, TextThatSaysNothing) {
  for (const char* text :
       {"", "\n\n", "h1:1:2 [0] NCCL WARN Cuda failure\n", "Channel", "Using [", "NET/IB : Using ["}) {
    const NcclWays ways = ReadNcclLog(text);
    EXPECT_EQ(ways.network, "") << text;
    EXPECT_THAT(ways.cards, IsEmpty()) << text;
    EXPECT_THAT(ways.ways, IsEmpty()) << text;
    EXPECT_EQ(ways.ToString(), "") << text;
  }
}

TEST(NcclLog, RelaxedOrderingIsNoCard) {
  const NcclWays ways = ReadNcclLog(
      "h1:1:2 [0] NCCL INFO NET/IB : Using [0]mlx5_0:1/IB [1]mlx5_1:1/IB [RO]; OOB ib0:192.168.11.1<0>\n"
      "h1:1:2 [0] NCCL INFO Using network IB\n");
  EXPECT_EQ(ways.ToString(), "network IB (mlx5_0, mlx5_1)");
}

}  // namespace
}  // namespace lockstep::comm
