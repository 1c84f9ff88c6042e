#include "launch/supervise/start_cause.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <regex>

#include "launch/supervise/restart_policy.h"

namespace lockstep::launch {
namespace {

/// The host in a verdict's place: "rank 3 on h2".
std::string HostIn(const std::string& where) {
  static const std::regex on_host(R"(\bon ([A-Za-z0-9_.\-]+))");
  std::smatch found;
  return std::regex_search(where, found, on_host) ? found[1].str() : "";
}

std::string SignalWords(int number) {
  const char* words = strsignal(number);
  return fmt::format("signal {}, {}", number, words == nullptr ? "unknown" : words);
}

std::string RankOn(const LauncherEvents& events) {
  const std::string rank = events.rank ? fmt::format("rank {}", *events.rank) : "a rank";
  return events.host.empty() ? rank : rank + " on " + events.host;
}

/// kPeer says that ranks waited for one that did not come, but for what these words tell.
StartCause OfPeers(const records::AttemptEnding& ending, const std::string& host, const std::string& sentence) {
  const auto says = [&](const char* words) { return ending.message.find(words) != std::string::npos; };
  // Of hosts that no longer reach each other, none is to blame more than the others.
  if (says("no longer delivers")) return {"network", "", ending.message};
  if (says("has not arrived")) return {"network", host, sentence};
  if (says("weights in memory")) return {"memory", host, sentence};
  if (says(" failed: ")) return {"failed peer", host, sentence};
  return {"hang", host, sentence};
}

StartCause FromEnding(const records::AttemptEnding& ending) {
  const std::string host = HostIn(ending.where.empty() ? ending.message : ending.where);
  const std::string sentence =
      ending.message.starts_with(ending.where) ? ending.message : ending.where + ": " + ending.message;
  if (!ending.kind) return {fmt::format("exit code {}", ending.exit_code), host, sentence};
  switch (*ending.kind) {
    case ErrorKind::kPeer:
      return OfPeers(ending, host, sentence);
    case ErrorKind::kInternal:
      return {"internal error", host, sentence};
    case ErrorKind::kPreempted:
      return {"stop", host, sentence};
    case ErrorKind::kStorage:
      return {"storage", host, sentence};
    default:
      return {fmt::format("exit code {}", ending.exit_code), host, sentence};
  }
}

/// Signals that end ranks. Other codes above 128 are errors of Open MPI's own (132: a program that isn't there), which
/// it counts down from 256.
bool EndsRanks(int signal) {
  constexpr int kSignals[] = {SIGKILL, SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGTERM};
  return std::find(std::begin(kSignals), std::end(kSignals), signal) != std::end(kSignals);
}

/// What an exit code alone tells.
StartCause OfCode(const StartFacts& facts) {
  const std::string& host = facts.events.host;
  if (facts.events.host_lost || facts.code == 205) return {"lost host", host, "a host was lost"};
  if (facts.code == kPreempted) return {"stop", host, "it stopped in time"};
  if (facts.code > 128 && EndsRanks(facts.code - 128))
    return {"killed rank", host, fmt::format("{} was ended ({})", RankOn(facts.events), SignalWords(facts.code - 128))};
  if (facts.code > 128 || (!facts.joined && !facts.events.rank))
    return {"failed " + facts.launcher, facts.this_host,
            fmt::format("{} ended with exit code {}{}", facts.launcher, facts.code,
                        facts.joined ? "" : " before its ranks had found each other")};
  if (facts.code == kPeerCode) return {"failed peer", host, RankOn(facts.events) + " lost its peers"};
  return {fmt::format("exit code {}", facts.code), host,
          fmt::format("{} ended with exit code {}", RankOn(facts.events), facts.code)};
}

}  // namespace

StartCause CauseOf(const StartFacts& facts) {
  if (!facts.lost_host.empty()) return {"lost host", facts.lost_host, facts.lost_host + " no longer answers"};
  if (facts.launcher_signal != 0)
    return {
        "killed " + facts.launcher, facts.this_host,
        fmt::format("{} on {} was ended ({})", facts.launcher, facts.this_host, SignalWords(facts.launcher_signal))};
  if (facts.waited)
    return {"hung " + facts.launcher, facts.this_host,
            fmt::format("{} had not brought its ranks together after {:.0f} s", facts.launcher, *facts.waited)};
  if (facts.not_done)
    return {"false start", facts.events.host, facts.launcher + " ended with exit code 0, but the run is not done"};
  const int signal = facts.events.signal;
  // A rank that a signal ended is why the others failed, whatever they say of it.
  if (signal == SIGKILL)
    return {facts.out_of_memory ? "out of memory" : "killed rank", facts.events.host,
            fmt::format("{} was killed ({})", RankOn(facts.events), SignalWords(signal))};
  if (signal != 0)
    return {"crashed rank", facts.events.host,
            fmt::format("{} crashed ({})", RankOn(facts.events), SignalWords(signal))};
  if (facts.ending && facts.ending->exit_code != 0) return FromEnding(*facts.ending);
  return OfCode(facts);
}

}  // namespace lockstep::launch
