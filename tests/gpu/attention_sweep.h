// How many rows the gradient of attention should take at once (kAttentionWorkspaceLimit): few enough that their scores
// stay in the device's cache, enough to keep it busy.
#pragma once

#include "trainer/step/device/device_kit.h"

namespace lockstep::gpu {

/// Prints a line for each number of rows: what the gradient of all rows takes when that many are done at once. The
/// shape is that of a layer of GPT-2; `small`: one that an emulated device does in a second.
void PrintAttentionSweep(step::DeviceKit& kit, bool small);

}  // namespace lockstep::gpu
