// What this machine's cores can do at best, measured: matrix products and copies of memory, beside which a step's own
// figures stand.
#pragma once

namespace lockstep::launch {

/// GFLOP/s of f32 matrix products (1024 x 1024 x 1024, by the backend's own kernel) on `threads` threads at once, each
/// with its own: the best of several rounds of `seconds` in all.
double MeasureMatrixRate(int threads, double seconds);

/// GB/s (10^9 bytes) of copying blocks that no cache holds, bytes read and bytes written, on `threads` threads at once.
double MeasureCopyRate(int threads, double seconds);

}  // namespace lockstep::launch
