// How long work takes on a device: the device's own part, without the host's.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "base/shape.h"
#include "trainer/step/device/device_kit.h"

namespace lockstep::gpu {

/// Seconds of one run of what `enqueue` puts on the kit's stream: the median over `rounds`. A round is one run of
/// captured work that holds it as often as two milliseconds allow, less what captured work without anything in it
/// takes: launching it and waking up from the wait cost tens of microseconds, more than many a kernel. What small
/// kernels read has been read just before, so that it comes from the device's cache, as it mostly does in training.
double SecondsOf(step::DeviceKit& kit, const std::function<void()>& enqueue, int rounds = 5);

/// Random numbers of `type`, f32 or bf16, small enough that sums of thousands stay in range: products of zeros take
/// less power, and are faster.
void FillRandom(step::DeviceKit& kit, DType type, std::span<std::byte> to);

}  // namespace lockstep::gpu
