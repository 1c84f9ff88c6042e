// What the backends' kernels of connectionist temporal classification share. States of a label of u classes: 2 u + 1,
// the blanks at even time steps; a path goes from a state to itself, to the next, or over a blank between classes that
// differ.
//
// Logarithms are kept relative to the largest of their time step, whose sum is kept in double: float then is as precise
// for the thousandth time step as for the first.
#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "trainer/kernels/math.h"

namespace lockstep::kernels {

/// The logarithm of what never happens: finite, so that differences are numbers.
inline constexpr float kCtcNever = -1e30f;

LOCKSTEP_HD float CtcLarger(float a, float b) { return a > b ? a : b; }

/// log(e^a + e^b + e^c). Error below 2e-7 and the rounding of the result.
LOCKSTEP_HD float CtcLogSum(float a, float b, float c) {
  const float most = CtcLarger(CtcLarger(a, b), c);
  const float sum = Exp(a - most) + Exp(b - most) + Exp(c - most);
  // log of [1, 3] as 2 atanh(s), s up to 1/2.
  const float s = (sum - 1.0f) / (sum + 1.0f), z = s * s;
  float p = 1.0f / 21.0f;
  p = p * z + 1.0f / 19.0f;
  p = p * z + 1.0f / 17.0f;
  p = p * z + 1.0f / 15.0f;
  p = p * z + 1.0f / 13.0f;
  p = p * z + 1.0f / 11.0f;
  p = p * z + 1.0f / 9.0f;
  p = p * z + 1.0f / 7.0f;
  p = p * z + 1.0f / 5.0f;
  p = p * z + 1.0f / 3.0f;
  return most + 2.0f * (s + s * (z * p));
}

/// log softmax of a logit; what is below kCtcNever never happens.
LOCKSTEP_HD float CtcEmission(float logit, double lse) {
  return CtcLarger(static_cast<float>(static_cast<double>(logit) - lse), kCtcNever);
}

/// Softmax of a logit.
LOCKSTEP_HD float CtcSoftmax(float logit, double lse) {
  return Exp(static_cast<float>(static_cast<double>(logit) - lse));
}

/// The class of a state: blank is 0.
LOCKSTEP_HD int32_t CtcClass(const int32_t* label, int64_t state) { return state % 2 == 0 ? 0 : label[state / 2]; }
/// 0 where a path may come to `state` from the one two before it, else kCtcNever.
LOCKSTEP_HD float CtcSkip(const int32_t* label, int64_t state) {
  return state % 2 == 1 && state >= 3 && label[state / 2] != label[state / 2 - 1] ? 0.0f : kCtcNever;
}

/// What a sample's lengths say.
struct CtcSample {
  int64_t time_steps = 0;  ///< 0: nothing to do
  int64_t states = 0;
  bool impossible = false;
};
/// `label`: of up to `most_labels` classes.
LOCKSTEP_HD CtcSample CtcSampleOf(const int32_t* label, int64_t length, int64_t label_length, int64_t most_time_steps,
                                  int64_t most_labels) {
  CtcSample sample;
  if (label_length < 0) return sample;
  const int64_t time_steps = length < 0 ? 0 : (length > most_time_steps ? most_time_steps : length);
  if (label_length > most_labels) {
    sample.impossible = true;
    return sample;
  }
  int64_t least = label_length;
  for (int64_t i = 1; i < label_length; ++i) least += label[i] == label[i - 1] ? 1 : 0;
  sample.impossible = least > time_steps;
  if (!sample.impossible) sample.time_steps = time_steps;
  sample.states = 2 * label_length + 1;
  return sample;
}

}  // namespace lockstep::kernels
