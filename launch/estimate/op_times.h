// How long ops take on a measured machine: of any size, from those that were measured.
//
// An op's ideal time is its FLOP at the machine's rate of matrix products plus its bytes at its rate of copying. What
// an op takes is a multiple of that, which is looked up: the geometric mean over the measured ops of its kind that are
// most like it (in size and shape, by powers of two), nearer ones counting more. So times between and a little beyond
// what was measured follow the work, and an op that was measured itself has its measured time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "launch/estimate/machine_record.h"

namespace lockstep::launch {

class OpTimes {
 public:
  /// Where `computing` threads compute on the machine at once: between its times with one thread and with one on each
  /// core; where they are more than cores, they take turns.
  OpTimes(const MachineRecord& machine, int computing);

  /// Seconds of one run. Ops of a kind that was not measured count as the median of all kinds.
  double Seconds(const OpWork& work) const;
  bool Knows(const std::string& kind) const { return kinds_.contains(kind); }
  /// Whether the machine's arithmetic, not its memory, is the larger part of its ideal time.
  bool ArithmeticBound(const OpWork& work) const;

 private:
  struct Known {
    OpWork work;
    double factor = 1;  ///< of the ideal time
  };

  double Ideal(const OpWork& work) const;

  std::map<std::string, std::vector<Known>> kinds_;
  double flops_per_second_, bytes_per_second_;
  double other_factor_ = 1;  ///< of kinds that were not measured
};

}  // namespace lockstep::launch
