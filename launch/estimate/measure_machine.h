// Measures this machine, in under a minute: reference trainings (reference_recipes.h) whose ops are timed one by
// one, and updates of weights, with one thread that computes and with one on each core.
#pragma once

#include <functional>
#include <string>

#include "launch/estimate/machine_record.h"

namespace lockstep::launch {

/// `say` is told what is measured next. Whatever else runs on the machine meanwhile makes its times longer.
MachineRecord MeasureMachine(const std::function<void(const std::string& what)>& say);

}  // namespace lockstep::launch
