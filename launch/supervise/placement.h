// Where the ranks of a supervisor's next start go: on the hosts that answer, as many as fit.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "launch/supervise/launcher/hosts.h"

namespace lockstep::launch {

/// Not thread-safe.
class Placement {
 public:
  /// `ranks`: at first, and at most. No `hosts`: this machine, or what the batch system has given, which are not looked
  /// at. `clean_up`: a line for sh that ends on another host what an earlier start left there; it runs where a host is
  /// asked whether it answers.
  Placement(std::vector<Host> hosts, int ranks, std::string clean_up);

  /// Chooses for the first start: every host is believed in. False where there is no room for a rank.
  bool ChooseFirst();
  /// Chooses for a start after a failure: hosts are asked, unless that was just done. False where none answers.
  bool ChooseAgain();
  /// Asks all hosts; returns one of those chosen that no longer answers, empty where all do.
  std::string FindLostHost();

  int ranks() const { return ranks_; }
  /// With the ranks that go there; empty where no hosts were given.
  const std::vector<Host>& hosts() const { return chosen_; }
  /// Those of them that run on this machine.
  int ranks_here() const;
  int nodes() const;
  /// Whether ranks go to other machines than this one.
  bool HasOthers() const;

 private:
  void Probe();
  bool Choose();

  const std::vector<Host> all_;
  const int most_ranks_;
  const std::string clean_up_;
  std::vector<Host> answering_, chosen_;
  std::chrono::steady_clock::time_point probed_;
  int ranks_ = 0;
};

}  // namespace lockstep::launch
