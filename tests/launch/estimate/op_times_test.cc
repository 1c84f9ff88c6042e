// Times of ops that were not measured, from those that were.
#include "launch/estimate/op_times.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lockstep::launch {
namespace {

OpWork Product(double m, double n, double k) {
  return {.kind = "linear", .flops = 2 * m * n * k, .bytes = 4 * (m * k + n * k + m * n), .shape = {m * n, m, k, n}};
}

OpWork Elementwise(double n) { return {.kind = "activation", .flops = n, .bytes = 8 * n, .shape = {n, n, 1, 1}}; }

/// 100 GFLOP/s and 10 GB/s alone, 80 and 4 of each core together.
MachineRecord Machine(int cores) {
  MachineRecord machine;
  machine.cores = cores;
  machine.alone = {100, 10};
  machine.together = {80, 4};
  return machine;
}

/// What takes `factor` times as long as arithmetic and copying would.
MeasuredOp Op(const OpWork& work, double factor) {
  return {work, factor * (work.flops / 100e9 + work.bytes / 10e9), factor * (work.flops / 80e9 + work.bytes / 4e9)};
}

TEST(OpTimes, AnOpThatWasMeasuredHasItsTime) {
  MachineRecord machine = Machine(4);
  for (double size : {64, 128, 256, 512}) machine.ops.push_back(Op(Product(size, size, size), 2 + size / 100));
  for (const MeasuredOp& op : machine.ops) {
    EXPECT_NEAR(OpTimes(machine, 1).Seconds(op.work), op.alone, 0.01 * op.alone);
    EXPECT_NEAR(OpTimes(machine, 4).Seconds(op.work), op.together, 0.01 * op.together);
  }
}

TEST(OpTimes, BetweenAndBeyondMeasuredSizesTimeFollowsTheWork) {
  MachineRecord machine = Machine(1);
  for (double size : {64, 256, 1024}) machine.ops.push_back(Op(Product(size, size, size), 1.5));
  const OpTimes times(machine, 1);
  for (const OpWork& work : {Product(100, 300, 200), Product(2048, 2048, 2048), Product(32, 512, 512)}) {
    const double expected = Op(work, 1.5).alone;
    EXPECT_NEAR(times.Seconds(work), expected, 0.05 * expected) << work.flops;
  }
}

TEST(OpTimes, NearerOpsCountMore) {
  MachineRecord machine = Machine(1);
  machine.ops = {Op(Product(64, 64, 64), 8), Op(Product(4096, 4096, 4096), 1)};
  const OpTimes times(machine, 1);
  const auto factor = [&](double size) {
    return times.Seconds(Product(size, size, size)) / Op(Product(size, size, size), 1).alone;
  };
  EXPECT_GT(factor(90), 6);
  EXPECT_LT(factor(3000), 1.5);
  EXPECT_GT(factor(256), factor(1024));
}

TEST(OpTimes, KindsHaveTimesOfTheirOwn) {
  MachineRecord machine = Machine(1);
  machine.ops = {Op(Product(256, 256, 256), 1), Op(Elementwise(65536), 5)};
  const OpTimes times(machine, 1);
  EXPECT_NEAR(times.Seconds(Elementwise(65536)), Op(Elementwise(65536), 5).alone, 1e-6);
  EXPECT_TRUE(times.Knows("linear"));
  EXPECT_FALSE(times.Knows("lstm"));
  EXPECT_TRUE(times.ArithmeticBound(Product(256, 256, 256)));
  EXPECT_FALSE(times.ArithmeticBound(Elementwise(65536)));
}

TEST(OpTimes, MoreThreadsShareMemoryAndThenCores) {
  MachineRecord machine = Machine(5);
  machine.ops = {Op(Product(256, 256, 256), 1)};
  const auto seconds = [&](int computing) { return OpTimes(machine, computing).Seconds(machine.ops[0].work); };
  EXPECT_NEAR(seconds(3), (machine.ops[0].alone + machine.ops[0].together) / 2, 0.02 * seconds(3));
  EXPECT_NEAR(seconds(10), 2 * seconds(5), 0.02 * seconds(10));
}

}  // namespace
}  // namespace lockstep::launch
