#include "launch/supervise/launcher/hosts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <sstream>

#include "base/error.h"
#include "launch/supervise/launcher/child_process.h"

namespace lockstep::launch {
namespace {

// A host that is gone shows in five seconds (ConnectTimeout); one that is there may be slow to begin a shell.
constexpr auto kProbeLimit = std::chrono::seconds(10);

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string OwnName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

/// What Open MPI compares of a name. An address consists of digits and dots.
std::string Compared(const std::string& name) {
  return name.find_first_not_of("0123456789.") == std::string::npos ? name : name.substr(0, name.find('.'));
}

}  // namespace

Host ParseHost(const std::string& text, const std::string& where) {
  static const std::regex form(R"((?:([A-Za-z0-9_.\-]+)@)?([A-Za-z0-9_.\-]+)(?::(\d{1,5}))?)");
  std::smatch found;
  if (std::count(text.begin(), text.end(), ':') > 1)
    throw Error(ErrorKind::kUsage, fmt::format("\"{}\" is an IPv6 address, which mpirun's lists can't have", text),
                where, "give the host a name, in /etc/hosts for example");
  if (text.starts_with('+'))
    throw Error(ErrorKind::kUsage, fmt::format("\"{}\" counts the hosts of an allocation", text), where,
                "name the host");
  if (!std::regex_match(text, found, form) || text.front() == '-' || *found[2].first == '-')
    throw Error(ErrorKind::kUsage, fmt::format("\"{}\" is no host", text), where, "for example h1,h2:4");
  const Host host{found[2], found[3].matched ? std::stoi(found[3]) : 0, found[1]};
  if (found[3].matched && host.slots == 0)
    throw Error(ErrorKind::kUsage, fmt::format("{} has no slots", text), where, "leave it out");
  return host;
}

bool IsSameHost(const std::string& one, const std::string& other) {
  return Compared(one) == Compared(other) || (IsThisHost(one) && IsThisHost(other));
}

namespace {

/// A host that is named again has so many more slots.
void Add(std::vector<Host>& hosts, const Host& host) {
  const auto same =
      std::find_if(hosts.begin(), hosts.end(), [&](const Host& other) { return IsSameHost(other.name, host.name); });
  if (same == hosts.end()) {
    hosts.push_back(host);
    return;
  }
  same->slots = std::max(same->slots, 1) + std::max(host.slots, 1);
}

}  // namespace

std::vector<Host> ParseHosts(const std::string& list) {
  std::vector<Host> hosts;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) Add(hosts, ParseHost(part, "--hosts " + list));
  if (hosts.empty()) throw Error(ErrorKind::kUsage, "there are no hosts", "--hosts", "for example --hosts h1,h2:4");
  return hosts;
}

void FillSlots(std::vector<Host>& hosts, int ranks) {
  int open = 0;
  for (const Host& host : hosts) open += host.slots == 0;
  const int wanted = ranks - TotalSlots(hosts);
  if (open == 0) return;
  const int share = std::max(1, (wanted + open - 1) / open);
  for (Host& host : hosts)
    if (host.slots == 0) host.slots = share;
}

int TotalSlots(const std::vector<Host>& hosts) {
  int total = 0;
  for (const Host& host : hosts) total += host.slots;
  return total;
}

std::vector<Host> DealRanks(const std::vector<Host>& hosts, int ranks) {
  CHECK(ranks <= TotalSlots(hosts), "{} ranks", ranks);
  std::vector<Host> dealt;
  for (const Host& host : hosts) {
    const int here = std::min(host.slots, ranks);
    if (here > 0) dealt.push_back({host.name, here, host.user});
    ranks -= here;
  }
  return dealt;
}

std::string AgentForMpirun() {
  const char* agent = std::getenv("LOCKSTEP_RSH_AGENT");
  return agent == nullptr ? "" : agent;
}

std::vector<std::string> RemoteShell() {
  std::string agent = AgentForMpirun();
  for (const char* name : {"OMPI_MCA_plm_rsh_agent", "PRTE_MCA_plm_ssh_agent"})
    if (const char* value = std::getenv(name); agent.empty() && value != nullptr) agent = value;
  // Open MPI takes several agents, by preference: "ssh : rsh".
  std::vector<std::string> words = Words(agent.substr(0, agent.find(':')));
  if (words.empty()) words = {"ssh"};
  if (std::filesystem::path(words.front()).filename() == "ssh")
    for (const char* option : {"-o", "BatchMode=yes", "-o", "ConnectTimeout=5"}) words.emplace_back(option);
  return words;
}

bool IsThisHost(const std::string& name) {
  return name == "localhost" || name == "127.0.0.1" || Compared(name) == Compared(OwnName());
}

std::vector<Host> AnsweringHosts(const std::vector<Host>& hosts, const std::string& command) {
  std::vector<std::vector<std::string>> commands;
  for (const Host& host : hosts) {
    if (IsThisHost(host.name)) continue;
    std::vector<std::string> words = RemoteShell();
    words.push_back(host.Address());
    words.push_back("exec sh -c " + ShellWord(command));  // the login shell there may be csh or fish
    commands.push_back(words);
  }
  const std::vector<Captured> results = RunAll(commands, kProbeLimit);
  std::vector<Host> answering;
  size_t next = 0;
  for (const Host& host : hosts)
    if (IsThisHost(host.name) || results[next++].code == 0) answering.push_back(host);
  return answering;
}

}  // namespace lockstep::launch
