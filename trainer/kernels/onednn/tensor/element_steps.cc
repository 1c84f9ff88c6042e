#include "trainer/kernels/onednn/tensor/element_steps.h"

#include "base/isa_clones.h"
#include "trainer/kernels/elementwise.h"

namespace lockstep::onednn {
namespace {

using kernels::ProgramStep;

template <graph::Activation kActivation>
struct ActivationStep {
  static constexpr int kOperands = 1;
  LOCKSTEP_HD float operator()(float x, float, float) const { return kernels::Activate<kActivation>(x); }
};
template <graph::Activation kActivation>
struct ActivationGradStep {
  static constexpr int kOperands = 2;
  LOCKSTEP_HD float operator()(float dy, float v, float) const { return kernels::ActivateGradient<kActivation>(dy, v); }
};

/// A function that takes the loop for each functor into its own instruction set.
template <typename Step>
LOCKSTEP_HD void Loop(const Step& step, const float* const* operands, float* y, int64_t size) {
  const float* const a = operands[0];
  if constexpr (Step::kOperands == 1) {
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) y[i] = step(a[i], 0.0f, 0.0f);
  } else if constexpr (Step::kOperands == 2) {
    const float* const b = operands[1];
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) y[i] = step(a[i], b[i], 0.0f);
  } else {
    const float *const b = operands[1], *const c = operands[2];
#pragma GCC ivdep
    for (int64_t i = 0; i < size; ++i) y[i] = step(a[i], b[i], c[i]);
  }
}

}  // namespace

LOCKSTEP_ISA_CLONES
void RunStep(const ProgramStep& step, const float* const* operands, float* y, int64_t size) {
  kernels::WithStep<ActivationStep, ActivationGradStep>(
      step, [&](const auto& f) LOCKSTEP_INLINE { Loop(f, operands, y, size); });
}

}  // namespace lockstep::onednn
