// Whether the gradient of a bias should come with the weight's, in the product, or from a kernel of its own: the
// library may have fewer and slower products with it.
#pragma once

#include "trainer/step/device/device_kit.h"

namespace lockstep::gpu {

/// Prints a line for each shape of linear layer of GPT-2: what both gradients take at once, as
/// SumsBiasGradientApart has them, and each by itself.
/// `small`: one shape that an emulated device does in a second.
void PrintBiasGradients(step::DeviceKit& kit, bool small);

}  // namespace lockstep::gpu
