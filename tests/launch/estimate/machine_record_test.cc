// The file in which a machine's measurement is kept.
#include "launch/estimate/machine_record.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/build_info.h"
#include "base/error.h"
#include "base/machine/cpu_info.h"

namespace lockstep::launch {
namespace {

MachineRecord Sample() {
  MachineRecord record;
  record.host = "node7";
  record.cpu = CpuModel();
  record.isa = Name(DetectIsa());
  record.build = BuildHash();
  record.cores = 96;
  record.alone = {120.5, 17};
  record.together = {99, 2.25};
  record.step_overhead = 1.5e-4;
  record.ops = {{{.kind = "linear", .flops = 2e9, .bytes = 1e6, .shape = {1000, 10, 20, 30}}, 0.5, 0.75},
                {UpdateWork(1e6, 2, 2), 0.001, 0.002}};
  return record;
}

TEST(MachineRecord, ComesBackAsItWasKept) {
  const MachineRecord record = Sample(), back = ParseMachine(FormatMachine(record), "m.json");
  EXPECT_EQ(back.host, "node7");
  EXPECT_EQ(back.cpu, record.cpu);
  EXPECT_EQ(back.cores, 96);
  EXPECT_EQ(back.together.copy_gb_s, 2.25);
  EXPECT_EQ(back.step_overhead, 1.5e-4);
  ASSERT_EQ(back.ops.size(), 2u);
  EXPECT_EQ(back.ops[0].work.kind, "linear");
  EXPECT_EQ(back.ops[0].work.shape, record.ops[0].work.shape);
  EXPECT_EQ(back.ops[0].together, 0.75);
  EXPECT_EQ(back.ops[1].work.bytes, record.ops[1].work.bytes);
}

TEST(MachineRecord, WhatIsNoneIsRefusedByName) {
  const std::string good = FormatMachine(Sample());
  std::string other = good;
  other.replace(other.find("\"version\":1"), 11, "\"version\":9");
  std::string no_time = good;
  no_time.replace(no_time.find("0.75"), 4, "-1.0");
  for (const std::string& text : {std::string(), std::string("{}"), good.substr(0, good.size() / 2), other, no_time}) {
    try {
      ParseMachine(text, "m.json");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_EQ(error.where(), "m.json");
    }
  }
}

TEST(MachineRecord, IsStaleOnAnotherProcessorAndOfAnotherBuild) {
  MachineRecord record = Sample();
  EXPECT_EQ(WhyStale(record), "");
  record.cpu = "Z80";
  EXPECT_NE(WhyStale(record).find("Z80"), std::string::npos);
  EXPECT_EQ(WhyOtherBuild(record), "");
  record = Sample();
  record.build = "0123456789abcdef";
  EXPECT_NE(WhyStale(record), "");
  EXPECT_NE(WhyOtherBuild(record), "");
}

TEST(MachineRecord, IsKeptInTheUsersCache) {
  setenv("XDG_CACHE_HOME", "/somewhere/cache", 1);
  EXPECT_EQ(KeptMachinePath().rfind("/somewhere/cache/lockstep/machine-", 0), 0u);
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(KeptMachinePath().rfind("/home/me/.cache/lockstep/machine-", 0), 0u);
  unsetenv("HOME");
  EXPECT_EQ(KeptMachinePath(), "");
}

}  // namespace
}  // namespace lockstep::launch
