// Joules that hardware says it has used: a counter that only its differences mean something of. Nothing is estimated:
// where the hardware does not say, there is no meter.
#pragma once

#include <optional>

namespace lockstep {

class EnergyMeter {
 public:
  virtual ~EnergyMeter() = default;
  /// Joules since some moment before the meter was made; ascending. Nothing where the hardware stopped to answer.
  virtual std::optional<double> Joules() = 0;
};

}  // namespace lockstep
