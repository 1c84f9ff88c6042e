#include "base/machine/rapl_meter.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"

namespace lockstep {
namespace {

/// A make-believe /sys/class/powercap.
class RaplTest : public testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path whole = folder_ / path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text << "\n";
  }
  void Package(const std::string& name, uint64_t microjoules) {
    Write(name + "/energy_uj", std::to_string(microjoules));
    Write(name + "/max_energy_range_uj", "10000000");
  }

  TemporaryFolder folder_;
};

TEST_F(RaplTest, CountsJoulesOfAllPackagesButNotTheirParts) {
  Package("intel-rapl:0", 1'000'000);
  Package("intel-rapl:1", 2'000'000);
  Package("intel-rapl:0:0", 5);
  const auto meter = MakeRaplMeter(folder_.path());
  ASSERT_NE(meter, nullptr);
  const double before = meter->Joules().value();
  Package("intel-rapl:0", 4'500'000);
  Package("intel-rapl:1", 2'250'000);
  Package("intel-rapl:0:0", 9'000'000);
  EXPECT_DOUBLE_EQ(meter->Joules().value() - before, 3.75);
}

TEST_F(RaplTest, GoesOnWhereACounterBeginsAgain) {
  Package("intel-rapl:0", 9'000'000);
  const auto meter = MakeRaplMeter(folder_.path());
  const double before = meter->Joules().value();
  Package("intel-rapl:0", 500'000);
  EXPECT_DOUBLE_EQ(meter->Joules().value() - before, 1.5);
}

TEST_F(RaplTest, IsAbsentWhereNothingCanBeRead) {
  EXPECT_EQ(MakeRaplMeter(folder_.path()), nullptr);
  EXPECT_EQ(MakeRaplMeter(folder_ / "nowhere"), nullptr);
  Write("intel-rapl:0/max_energy_range_uj", "10");  // and no counter
  EXPECT_EQ(MakeRaplMeter(folder_.path()), nullptr);
}

TEST_F(RaplTest, SaysNothingWhereACounterGoesAway) {
  Package("intel-rapl:0", 1);
  const auto meter = MakeRaplMeter(folder_.path());
  std::filesystem::remove(folder_ / "intel-rapl:0/energy_uj");
  EXPECT_EQ(meter->Joules(), std::nullopt);
}

}  // namespace
}  // namespace lockstep
