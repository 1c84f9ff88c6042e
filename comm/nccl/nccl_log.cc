#include "comm/nccl/nccl_log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <sstream>

namespace lockstep::comm {
namespace {

/// The word behind `before`; nothing where the line does not have it.
std::optional<std::string> WordAfter(const std::string& line, std::string_view before) {
  const size_t at = line.find(before);
  if (at == std::string::npos) return std::nullopt;
  const size_t begin = at + before.size();
  return line.substr(begin, line.find_first_of(" \t", begin) - begin);
}

/// "NET/IB : Using [0]mlx5_0:1/IB [1]mlx5_1:1/RoCE [RO]; OOB eth0:10.0.0.1<0>", "NET/Socket : Using
/// [0]eth0:10.0.0.1<0>": the names behind numbers in brackets ([RO] is no number: relaxed ordering).
void AddCards(const std::string& line, std::set<std::string>& cards) {
  for (size_t at = line.find("Using ["); at != std::string::npos; at = line.find('[', at + 1)) {
    const size_t open = line.find('[', at), close = line.find(']', at);
    if (close == std::string::npos) return;
    at = close;
    if (line.find_first_not_of("0123456789", open + 1) != close || close == open + 1) continue;
    const size_t end = line.find_first_of(":/ ", close + 1);
    cards.insert(line.substr(close + 1, end - close - 1));
  }
}

}  // namespace

NcclWays ReadNcclLog(std::string_view text) {
  NcclWays found;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (const auto network = WordAfter(line, "Using network ")) found.network = *network;
    if (line.find("NET/") != std::string::npos && line.find(": Using [") != std::string::npos)
      AddCards(line, found.cards);
    // "Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM"
    if (line.find("Channel") == std::string::npos) continue;
    if (const auto way = WordAfter(line, " via ")) found.ways.insert(*way);
  }
  return found;
}

std::string NcclWays::ToString() const {
  std::string text = fmt::format("{}", fmt::join(ways, ", "));
  if (network.empty()) return text;
  text += fmt::format("{}network {}", text.empty() ? "" : "; ", network);
  if (!cards.empty()) text += fmt::format(" ({})", fmt::join(cards, ", "));
  return text;
}

}  // namespace lockstep::comm
