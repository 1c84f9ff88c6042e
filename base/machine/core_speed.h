// How fast this process computes, as it is now: on a slower processor, in a control group that holds it back, beside
// others.
#pragma once

namespace lockstep {

/// Rounds a second of a fixed loop of multiplications and additions on the calling thread, over `seconds` of the clock
/// (a control group's quota works in periods of a tenth). Only ratios between processes mean something.
double MeasureCoreSpeed(double seconds);

}  // namespace lockstep
