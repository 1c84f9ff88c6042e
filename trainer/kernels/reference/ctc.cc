// Connectionist temporal classification: the forward and backward recursions of Graves et al. 2006, section 4.1, over
// logarithms.
//
// A path's logarithm is a sum over time steps of logits less their lse, whose magnitudes add up: M, which is what a
// posterior is wrong by. K is 1: time steps' errors partly cancel, which M leaves out.
#include <algorithm>
#include <cmath>
#include <limits>

#include "trainer/kernels/reference/ops.h"

namespace lockstep::reference {
namespace {

using graph::OpKind;

constexpr double kNever = -std::numeric_limits<double>::infinity();

double LogAdd(double a, double b) {
  const double most = std::max(a, b);
  return most == kNever ? kNever : most + std::log(std::exp(a - most) + std::exp(b - most));
}

/// One sample: log softmax by time step, and the label with blanks around and between its classes.
struct Sample {
  size_t time_steps, classes, states;
  std::vector<double> log_softmax;
  std::vector<size_t> classes_of_states;
  double magnitude = 0;  ///< M

  double Emission(size_t time_step, size_t state) const {
    return log_softmax[time_step * classes + classes_of_states[state]];
  }
  /// Whether a path may come to `state` from the one two before it.
  bool Skips(size_t state) const {
    return state >= 2 && classes_of_states[state] != 0 && classes_of_states[state] != classes_of_states[state - 2];
  }

  std::vector<double> Alphas() const {
    std::vector<double> alphas(time_steps * states, kNever);
    for (size_t t = 0; t < time_steps; ++t) {
      for (size_t s = 0; s < states; ++s) {
        double before = t == 0 && s < 2 ? 0 : kNever;
        if (t > 0) {
          const double* row = &alphas[(t - 1) * states];
          before = row[s];
          if (s >= 1) before = LogAdd(before, row[s - 1]);
          if (Skips(s)) before = LogAdd(before, row[s - 2]);
        }
        alphas[t * states + s] = before + Emission(t, s);
      }
    }
    return alphas;
  }
  /// Behind each time step, what follows: without the time step's own emission.
  std::vector<double> Betas() const {
    std::vector<double> betas(time_steps * states, kNever);
    for (size_t t = time_steps; t-- > 0;) {
      for (size_t s = 0; s < states; ++s) {
        double behind = t + 1 == time_steps && s + 2 >= states ? 0 : kNever;
        if (t + 1 < time_steps) {
          const auto next = [&](size_t state) { return betas[(t + 1) * states + state] + Emission(t + 1, state); };
          behind = next(s);
          if (s + 1 < states) behind = LogAdd(behind, next(s + 1));
          if (s + 2 < states && Skips(s + 2)) behind = LogAdd(behind, next(s + 2));
        }
        betas[t * states + s] = behind;
      }
    }
    return betas;
  }
};

Sample MakeSample(const double* logits, size_t time_steps, size_t classes, const double* label, size_t labels) {
  Sample sample{time_steps, classes, 2 * labels + 1, {}, std::vector<size_t>(2 * labels + 1)};
  for (size_t i = 0; i < labels; ++i) sample.classes_of_states[2 * i + 1] = static_cast<size_t>(label[i]);
  for (size_t t = 0; t < time_steps; ++t) {
    const double* row = logits + t * classes;
    const double largest = *std::max_element(row, row + classes);
    double sum = 0, most = 0;
    for (size_t j = 0; j < classes; ++j) sum += std::exp(row[j] - largest);
    for (size_t j = 0; j < classes; ++j) sample.log_softmax.push_back(row[j] - largest - std::log(sum));
    for (const size_t j : sample.classes_of_states) most = std::max(most, std::abs(row[j] - largest) + std::log(sum));
    sample.magnitude += 1 + most;
  }
  return sample;
}

std::vector<Tensor> Ctc(const Call& call) {
  const Tensor &logits = call.in(0), &label = call.in(1), &length = call.in(2), &label_length = call.in(3);
  const auto all_time_steps = static_cast<size_t>(logits.shape[1]), classes = static_cast<size_t>(logits.shape[2]);
  Tensor dlogits = Zeros(logits.shape, 1);
  Sum sum, impossible;
  for (size_t n = 0; n < length.data.size(); ++n) {
    const auto time_steps = static_cast<size_t>(std::clamp(length.data[n], 0.0, static_cast<double>(all_time_steps)));
    if (label_length.data[n] < 0) continue;
    const auto labels = static_cast<size_t>(label_length.data[n]);
    if (labels > static_cast<size_t>(label.shape[1])) {
      impossible.value += 1;
      continue;
    }
    const double* own = &label.data[n * static_cast<size_t>(label.shape[1])];
    size_t least = labels;
    for (size_t i = 1; i < labels; ++i) least += own[i] == own[i - 1];
    if (least > time_steps) impossible.value += 1;
    if (least > time_steps || time_steps == 0) continue;
    const size_t first = n * all_time_steps * classes;
    const Sample sample = MakeSample(&logits.data[first], time_steps, classes, own, labels);
    const std::vector<double> alphas = sample.Alphas(), betas = sample.Betas();
    const double* last = &alphas[(time_steps - 1) * sample.states];
    const double log_p =
        sample.states > 1 ? LogAdd(last[sample.states - 1], last[sample.states - 2]) : last[sample.states - 1];
    sum.value -= log_p;
    sum.magnitude += sample.magnitude;
    for (size_t t = 0; t < time_steps; ++t) {
      for (size_t j = 0; j < classes; ++j) {
        const double logarithm = sample.log_softmax[t * classes + j], softmax = std::exp(logarithm);
        dlogits.data[first + t * classes + j] = softmax;
        dlogits.magnitude[first + t * classes + j] = softmax * (1 + std::abs(logarithm));
      }
      for (size_t s = 0; s < sample.states; ++s) {
        const size_t at = first + t * classes + sample.classes_of_states[s];
        const double posterior = std::exp(alphas[t * sample.states + s] + betas[t * sample.states + s] - log_p);
        dlogits.data[at] -= posterior;
        dlogits.magnitude[at] += posterior * (1 + sample.magnitude);
      }
    }
  }
  return {Scalar(sum, 1), dlogits, Scalar(impossible, 1)};
}

std::vector<Tensor> CtcGrad(const Call& call) {
  const Tensor& dlogits = call.in(0);
  const double scale = call.step_block.loss_scale[call.op.as<graph::CtcAttributes>().loss];
  Tensor scaled = Zeros(dlogits.shape, 1);
  for (size_t i = 0; i < dlogits.data.size(); ++i) Add(scaled, i, dlogits.data[i] * scale);
  return {scaled};
}

constexpr OpFunction kRows[] = {
    {.kind = OpKind::kCtc, .run = Ctc},
    {.kind = OpKind::kCtcGrad, .run = CtcGrad},
};

}  // namespace

std::span<const OpFunction> CtcRows() { return kRows; }

}  // namespace lockstep::reference
