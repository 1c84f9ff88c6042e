// What the kernels of recurrent layers are told. A time step at a time: the library's product of the states with the
// weight (in the activations' type, summed in float), then a kernel with a thread per row and unit. States stay float
// where they are added to, so that a small update is not rounded away.
//
// 2026-11-22: not cuDNN's RNN, whose weights lie in an opaque layout of its own where ours lie in the parameter arena,
// and which no emulated device can prove; nor, for the latter reason, its CTC.
#pragma once

#include <cstdint>

#include "trainer/engine/workspace_parts.h"
#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"
#include "trainer/kernels/cuda/kernel_context.h"

namespace lockstep::cuda {

struct RecurrentShape {
  int64_t rows, time_steps, hidden;
  int gates;
  bool reverse;
  const int32_t* length = nullptr;

  RecurrentShape(const OpContext& context, bool gradient) {
    const Shape &sequence = context.InputShape(0), &weight = context.InputShape(gradient ? 3 : 1);
    rows = sequence.dim(0), time_steps = sequence.dim(1), hidden = weight.dim(1);
    gates = static_cast<int>(weight.dim(0) / hidden);
    reverse = context.Attributes<graph::RecurrentAttributes>().reverse;
  }

  LOCKSTEP_HD int64_t units() const { return rows * hidden; }
  int64_t TimeStep(int64_t step) const { return reverse ? time_steps - 1 - step : step; }
  LOCKSTEP_HD bool Reaches(int64_t row, int64_t time_step) const {
    return length == nullptr || time_step < length[row];
  }
  /// The time step before `time_step` in a row, in the order that it is gone through; -1: there is none.
  LOCKSTEP_HD int64_t Before(int64_t row, int64_t time_step) const {
    if (!reverse) return time_step - 1;
    return time_step + 1 < time_steps && Reaches(row, time_step + 1) ? time_step + 1 : -1;
  }
  /// Of [rows, time steps, parts, hidden].
  LOCKSTEP_HD int64_t At(int64_t row, int64_t time_step, int parts, int part, int64_t unit) const {
    return ((row * time_steps + time_step) * parts + part) * hidden + unit;
  }
};

/// A state that an operand gives, f32 or bf16.
struct GivenState {
  const void* data = nullptr;  ///< absent: nullptr, zeros
  bool bf16 = false;

  GivenState(const KernelContext& context, size_t input)
      : data(context.Input<void>(input)), bf16(data != nullptr && context.InputType(input) == DType::kBF16) {}
  LOCKSTEP_HD float At(int64_t i) const {
    if (data == nullptr) return 0.0f;
    return bf16 ? ToFloat(static_cast<const BFloat16*>(data)[i]) : static_cast<const float*>(data)[i];
  }
};

// recurrent_grad.cu
std::unique_ptr<engine::Kernel> PrepareRecurrentGrad(const KernelContext& context);
size_t RecurrentGradWorkspace(const OpContext& context);

}  // namespace lockstep::cuda
