// Hosts that ranks run on: given by --hosts or --hostfile, probed before a restart.
#pragma once

#include <string>
#include <vector>

namespace lockstep::launch {

struct Host {
  std::string name;
  int slots = 0;          ///< ranks that fit; 0: not said
  std::string user = {};  ///< who logs in there; empty: what ssh is configured to

  /// "me@a": what it is reached by.
  std::string Address() const { return user.empty() ? name : user + "@" + name; }
  bool operator==(const Host&) const = default;
};

/// "a,b:4": two hosts, the second with 4 slots. Throws Error(kUsage).
std::vector<Host> ParseHosts(const std::string& list);
/// One host: "a", "a:4", "me@a". `where` it is written is said in messages. Throws Error(kUsage).
Host ParseHost(const std::string& text, const std::string& where);

/// Whether two names are of one machine: Open MPI looks at the first label only ("h1.site" is "h1"), but at all of an
/// address.
bool IsSameHost(const std::string& one, const std::string& other);

/// Hosts without slots get even shares of what `ranks` is more than the slots of the others, one at least.
void FillSlots(std::vector<Host>& hosts, int ranks);
int TotalSlots(const std::vector<Host>& hosts);

/// How `ranks` fill the hosts in order: hosts that get none are left out. REQUIRES: ranks <= TotalSlots(hosts).
std::vector<Host> DealRanks(const std::vector<Host>& hosts, int ranks);

/// The program that reaches another host, as words to which the host and a command are added: what LOCKSTEP_RSH_AGENT
/// or Open MPI's own settings say, else ssh, which never asks for a password.
std::vector<std::string> RemoteShell();
/// The agent that mpirun has to be told of: LOCKSTEP_RSH_AGENT; empty where it isn't set.
std::string AgentForMpirun();

/// Whether `name` is this machine.
bool IsThisHost(const std::string& name);

/// Runs `command`, a line for sh, on those of the hosts that are other machines, side by side, within ten seconds;
/// returns the hosts where it succeeded, and this one, if it is among them.
std::vector<Host> AnsweringHosts(const std::vector<Host>& hosts, const std::string& command);

}  // namespace lockstep::launch
