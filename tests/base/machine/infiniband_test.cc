#include "base/machine/infiniband.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/base/temporary_folder.h"

namespace lockstep {
namespace {

TEST(Infiniband, ListsPortsByCard) {
  TemporaryFolder folder;
  const auto port = [&](const std::string& card, int number, const std::string& state, const std::string& rate) {
    const std::filesystem::path path = folder / (card + "/ports/" + std::to_string(number));
    std::filesystem::create_directories(path);
    std::ofstream(path / "state") << state << "\n";
    std::ofstream(path / "rate") << rate << "\n";
  };
  port("mlx5_1", 1, "1: DOWN", "40 Gb/sec (4X QDR)");
  port("mlx5_0", 1, "4: ACTIVE", "400 Gb/sec (4X NDR)");
  const std::vector<InfinibandPort> ports = InfinibandPorts(folder.path());
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports[0].card, "mlx5_0");
  EXPECT_EQ(ports[0].port, 1);
  EXPECT_EQ(ports[0].state, "ACTIVE");
  EXPECT_EQ(ports[0].rate, "400 Gb/sec (4X NDR)");
  EXPECT_EQ(ports[1].state, "DOWN");
}

TEST(Infiniband, HasNoneWhereThereIsNoFolder) { EXPECT_TRUE(InfinibandPorts("/nowhere").empty()); }

}  // namespace
}  // namespace lockstep
