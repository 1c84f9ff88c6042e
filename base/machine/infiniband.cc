#include "base/machine/infiniband.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace lockstep {
namespace {

std::string ReadLine(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

std::vector<InfinibandPort> InfinibandPorts(const std::string& folder) {
  std::vector<InfinibandPort> ports;
  std::error_code failed;
  for (const auto& card : std::filesystem::directory_iterator(folder, failed)) {
    for (const auto& entry : std::filesystem::directory_iterator(card.path() / "ports", failed)) {
      InfinibandPort port;
      port.card = card.path().filename();
      port.port = std::atoi(entry.path().filename().c_str());
      // "4: ACTIVE"
      const std::string state = ReadLine(entry.path() / "state");
      port.state =
          state.substr(std::min(state.size(), state.find(": ") == std::string::npos ? 0 : state.find(": ") + 2));
      port.rate = ReadLine(entry.path() / "rate");
      ports.push_back(std::move(port));
    }
  }
  std::sort(ports.begin(), ports.end(), [](const InfinibandPort& a, const InfinibandPort& b) {
    return a.card != b.card ? a.card < b.card : a.port < b.port;
  });
  return ports;
}

}  // namespace lockstep
