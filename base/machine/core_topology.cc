#include "base/machine/core_topology.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

namespace lockstep {
namespace {

std::optional<int> ParseNumber(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::vector<int> ReadCoreList(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return ParseCoreList(text);
}

/// NUMA node of each core, by /sys/devices/system/node/node<N>/cpulist.
std::map<int, int> ReadNumaNodes(const std::string& root) {
  std::map<int, int> node_of;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(root + "/sys/devices/system/node", failed)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("node")) continue;
    if (const std::optional<int> node = ParseNumber(std::string_view(name).substr(4)))
      for (int core : ReadCoreList(entry.path() / "cpulist")) node_of[core] = *node;
  }
  return node_of;
}

}  // namespace

std::vector<Core> DescribeCores(std::span<const int> numbers, const std::string& root) {
  const std::map<int, int> node_of = ReadNumaNodes(root);
  std::vector<Core> cores;
  for (int number : numbers) {
    const std::string folder = root + "/sys/devices/system/cpu/cpu" + std::to_string(number) + "/topology";
    const std::vector<int> siblings = ReadCoreList(folder + "/thread_siblings_list");
    const auto node = node_of.find(number);
    cores.push_back({number, siblings.empty() ? number : *std::min_element(siblings.begin(), siblings.end()),
                     node == node_of.end() ? 0 : node->second});
  }
  return cores;
}

std::vector<int> ParseCoreList(const std::string& text) {
  constexpr int kMost = 1 << 20;
  std::vector<int> numbers;
  std::istringstream stream(text);
  for (std::string range; std::getline(stream, range, ',');) {
    const size_t dash = range.find('-');
    const std::optional<int> first = ParseNumber(std::string_view(range).substr(0, dash));
    const std::optional<int> last =
        dash == std::string::npos ? first : ParseNumber(std::string_view(range).substr(dash + 1));
    if (!first || !last || *last < *first || *last >= kMost) return {};
    for (int number = *first; number <= *last; ++number) numbers.push_back(number);
  }
  return numbers;
}

std::string FormatCoreList(std::span<const int> numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(numbers[i]);
    if (last > i) text += "-" + std::to_string(numbers[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace lockstep
