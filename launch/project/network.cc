#include "launch/project/network.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/files/file.h"
#include "base/lane_tree.h"
#include "launch/recipe/suggestions.h"

namespace lockstep::launch {
namespace {

/// A number of a Network by its name.
struct Key {
  const char* name;
  double least, most;
  void (*set)(Network& network, double value);
  bool whole = false;
};

constexpr Key kKeys[] = {
    {"ranks_per_host", 1, 4096, [](Network& n, double v) { n.ranks_per_host = static_cast<int>(v); }, true},
    {"gbit", 1e-6, 1e6, [](Network& n, double v) { n.gbit = v; }},
    {"latency_us", 0, 1e7, [](Network& n, double v) { n.latency_us = v; }},
    {"message_us", 0, 1e7, [](Network& n, double v) { n.message_us = v; }},
    {"eager_kb", 0, 1e9, [](Network& n, double v) { n.eager_kb = v; }},
    {"memory_gb_s", 1e-3, 1e6, [](Network& n, double v) { n.memory_gb_s = v; }},
    {"hosts_per_rack", 1, 1e6, [](Network& n, double v) { n.hosts_per_rack = static_cast<int>(v); }, true},
    {"uplink_gbit", 1e-6, 1e9, [](Network& n, double v) { n.uplink_gbit = v; }},
    {"straggle", 0, 2, [](Network& n, double v) { n.straggle = v; }},
};

Error Bad(std::string message, std::string hint) {
  return Error(ErrorKind::kUsage, std::move(message), "--network", std::move(hint));
}

std::vector<std::string> KeyNames() {
  std::vector<std::string> names;
  for (const Key& key : kKeys) names.emplace_back(key.name);
  return names;
}

void SetWord(const std::string& word, Network& network) {
  const size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  for (const Key& key : kKeys) {
    if (name != key.name || equals == std::string::npos) continue;
    double value = 0;
    const char* end = word.data() + word.size();
    const auto [rest, code] = std::from_chars(word.data() + equals + 1, end, value);
    const bool whole = !key.whole || value == std::floor(value);
    if (code != std::errc() || rest != end || !std::isfinite(value) || !whole || value < key.least || value > key.most)
      throw Bad(fmt::format("'{}' is no value of {}", word.substr(equals + 1), name),
                fmt::format("a {}number from {:g} to {:g}", key.whole ? "whole " : "", key.least, key.most));
    key.set(network, value);
    return;
  }
  std::string meant = DidYouMean(Nearest(name, KeyNames()));
  if (meant.empty())
    meant =
        "KEY=VALUE,... of ranks_per_host, gbit, latency_us, message_us, eager_kb, memory_gb_s, "
        "hosts_per_rack, uplink_gbit, straggle; or a file of them";
  throw Bad(fmt::format("'{}' says nothing of a network", word), meant);
}

/// `text` with comments left out and lines parted by commas.
std::string WithoutComments(const std::string& text) {
  std::string words;
  bool comment = false;
  for (const char c : text) {
    if (c == '#') comment = true;
    if (c == '\n') comment = false;
    if (!comment) words += c == '\n' ? ',' : c;
  }
  return words;
}

}  // namespace

Network ParseNetwork(const std::string& text, const Network& defaults) {
  FileSystem& files = FileSystem::Real();
  const bool is_file = !text.empty() && text.find('=') == std::string::npos && files.Exists(text);
  const std::string words = (is_file ? WithoutComments(ReadWholeFile(files, text)) : text) + ",";
  Network network = defaults;
  std::string word;
  for (const char c : words) {
    if (c != ',' && c != ' ' && c != '\t' && c != '\r') word += c;
    if (c != ',' || word.empty()) continue;
    SetWord(word, network);
    word.clear();
  }
  if (network.uplink_gbit > 0 && network.hosts_per_rack == 0)
    throw Bad("uplink_gbit is of racks, and there are none", "give hosts_per_rack too");
  return network;
}

std::string DescribeLinks(const Network& network) {
  return fmt::format("links of {:.4g} Gbit/s each way", network.gbit);
}

std::string DescribeLatency(const Network& network) {
  return fmt::format("{:.4g} us from host to host", network.latency_us);
}

std::string DescribeRest(const Network& network) {
  std::string text = fmt::format("{:g} us a message", network.message_us);
  if (network.hosts_per_rack > 0)
    text += fmt::format(", {} hosts a rack with {}", network.hosts_per_rack,
                        network.uplink_gbit > 0 ? fmt::format("an uplink of {:g} Gbit/s", network.uplink_gbit)
                                                : std::string("an uplink as wide as their links together"));
  return text;
}

comm::Topology TopologyOf(int ranks, const Network& network) {
  comm::Topology topology;
  topology.world_size = ranks;
  for (int rank = 0; rank < ranks; ++rank) {
    const int host = rank / network.ranks_per_host;
    if (host == static_cast<int>(topology.hosts.size())) topology.hosts.emplace_back();
    topology.hosts.back().push_back(rank);
    topology.host_of.push_back(host);
    topology.host_name_of.push_back(fmt::format("h{}", host));
  }
  return topology;
}

comm::LanePlan LanesOf(int lanes, int ranks) {
  comm::LanePlan plan;
  for (const LaneRange run : DealLanes(lanes, ranks)) plan.push_back({run});
  return plan;
}

}  // namespace lockstep::launch
