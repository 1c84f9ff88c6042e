// Connectionist temporal classification, sample by sample: states side by side, time step after time step.
#include <algorithm>
#include <limits>

#include "base/isa_clones.h"
#include "trainer/graph/step_block.h"
#include "trainer/kernels/ctc.h"
#include "trainer/kernels/onednn/kernel_context.h"

namespace lockstep::onednn {
namespace {

using engine::Kernel;
using graph::OpKind;
using kernels::kCtcNever;

/// States that never happen lie around those of a row, for what reads beyond its ends.
constexpr int64_t kAround = 16;
constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

/// Where a thread's rows lie in its workspace, in doubles.
struct Layout {
  int64_t row, lse, offsets, alphas, emissions, next, betas, posteriors, skips, classes, size = 0;

  Layout(int64_t time_steps, int64_t labels) : row((2 * labels + 1 + 2 * kAround + 15) / 16 * 16) {
    const auto take = [&](int64_t bytes) {
      const int64_t at = size;
      size += static_cast<int64_t>(AlignUp(static_cast<size_t>(bytes), 64) / sizeof(double));
      return at;
    };
    lse = take(time_steps * 8), offsets = take(time_steps * 8), alphas = take(time_steps * row * 4);
    emissions = take(row * 4), next = take(row * 4), betas = take(row * 4), posteriors = take(row * 4);
    skips = take(row * 4), classes = take(row * 4);
  }
};

struct Job {
  const float* logits;
  const int32_t *label, *length, *label_length;
  float* dlogits;  ///< absent: nullptr
  int64_t time_steps, classes, labels;
};

/// One sample, with its rows; state 0 of each row.
struct Rows {
  kernels::CtcSample sample;
  int64_t classes, row;
  const float* logits;
  double *lse, *offsets;
  float *alphas, *emissions, *next, *betas, *posteriors, *skips;
  int32_t* states;

  Rows(const Job& job, const kernels::CtcSample& sample, const float* logits, double* workspace)
      : sample(sample), classes(job.classes), logits(logits) {
    const Layout at(job.time_steps, job.labels);
    const auto floats = [&](int64_t offset) { return reinterpret_cast<float*>(workspace + offset) + kAround; };
    row = at.row;
    lse = workspace + at.lse, offsets = workspace + at.offsets;
    alphas = floats(at.alphas), emissions = floats(at.emissions), next = floats(at.next), betas = floats(at.betas);
    posteriors = floats(at.posteriors), skips = floats(at.skips);
    states = reinterpret_cast<int32_t*>(workspace + at.classes);
  }
  float* Alpha(int64_t time_step) const { return alphas + time_step * row; }
  void Fill(float* states_row, float value) const { std::fill_n(states_row - kAround, row, value); }
};

LOCKSTEP_ISA_CLONES
double LogSumExp(const float* row, int64_t size) {
  float largest = row[0], sum = 0;
  for (int64_t i = 1; i < size; ++i) largest = row[i] > largest ? row[i] : largest;
  for (int64_t i = 0; i < size; ++i) sum += kernels::Exp(row[i] - largest);
  return static_cast<double>(largest) + kernels::Log(static_cast<double>(sum));
}

/// to = the logarithm of what comes to each state, from itself and the two before it; returns the largest.
LOCKSTEP_ISA_CLONES
float Advance(const float* from, const float* skips, const float* emissions, float* to, int64_t states) {
#pragma GCC ivdep
  for (int64_t s = 0; s < states; ++s) {
    to[s] = kernels::CtcLogSum(from[s], from[s - 1], from[s - 2] + skips[s]) + emissions[s];
  }
  float largest = to[0];
  for (int64_t s = 1; s < states; ++s) largest = to[s] > largest ? to[s] : largest;
  for (int64_t s = 0; s < states; ++s) to[s] -= largest;
  return largest;
}

/// betas = the logarithm of what goes from each state to itself and the two behind it; returns the largest.
LOCKSTEP_ISA_CLONES
float Retreat(float* betas, float* next, const float* skips, const float* emissions, int64_t states) {
#pragma GCC ivdep
  for (int64_t s = 0; s < states; ++s) next[s] = betas[s] + emissions[s];
#pragma GCC ivdep
  for (int64_t s = 0; s < states; ++s) {
    betas[s] = kernels::CtcLogSum(next[s], next[s + 1], next[s + 2] + skips[s + 2]);
  }
  float largest = betas[0];
  for (int64_t s = 1; s < states; ++s) largest = betas[s] > largest ? betas[s] : largest;
  for (int64_t s = 0; s < states; ++s) betas[s] -= largest;
  return largest;
}

/// The states' shares, which add up to 1.
LOCKSTEP_ISA_CLONES
void Posteriors(const float* alphas, const float* betas, float shift, float* shares, int64_t states) {
#pragma GCC ivdep
  for (int64_t s = 0; s < states; ++s) shares[s] = kernels::Exp(alphas[s] + betas[s] + shift);
  float sum = 0;
  for (int64_t s = 0; s < states; ++s) sum += shares[s];
  const float factor = 1.0f / sum;
  for (int64_t s = 0; s < states; ++s) shares[s] *= factor;
}

LOCKSTEP_ISA_CLONES
void Softmax(const float* logits, double lse, float* to, int64_t classes) {
#pragma GCC ivdep
  for (int64_t i = 0; i < classes; ++i) to[i] = kernels::CtcSoftmax(logits[i], lse);
}

void Emissions(const Rows& r, int64_t time_step) {
  const float* row = r.logits + time_step * r.classes;
  for (int64_t s = 0; s < r.sample.states; ++s) {
    r.emissions[s] = kernels::CtcEmission(row[r.states[s]], r.lse[time_step]);
  }
}

/// The logarithm of the label's probability.
double Forward(const Rows& r) {
  const int64_t states = r.sample.states;
  double total = 0, check = 0;
  for (int64_t t = 0; t < r.sample.time_steps; ++t) {
    r.lse[t] = LogSumExp(r.logits + t * r.classes, r.classes);
    check += r.lse[t] - r.lse[t];  // not-a-number where a logit is, or is infinite
    Emissions(r, t);
    float* alphas = r.Alpha(t);
    r.Fill(alphas, kCtcNever);
    if (t == 0) r.Fill(r.next, kCtcNever), r.next[0] = 0.0f;  // before the first time step: a step from the first state
    total += static_cast<double>(Advance(t == 0 ? r.next : r.Alpha(t - 1), r.skips, r.emissions, alphas, states));
    r.offsets[t] = total;
  }
  const float* last = r.Alpha(r.sample.time_steps - 1);
  const float end = kernels::CtcLogSum(last[states - 1], states > 1 ? last[states - 2] : kCtcNever, kCtcNever);
  return total + static_cast<double>(end) + check;
}

void Backward(const Rows& r, double log_p, float* dlogits) {
  const int64_t states = r.sample.states;
  r.Fill(r.next, kCtcNever);
  r.Fill(r.betas, kCtcNever);
  r.betas[states - 1] = 0.0f;
  if (states > 1) r.betas[states - 2] = 0.0f;
  double total = 0;
  for (int64_t t = r.sample.time_steps - 1; t >= 0; --t) {
    if (t + 1 < r.sample.time_steps) {
      Emissions(r, t + 1);
      total += static_cast<double>(Retreat(r.betas, r.next, r.skips, r.emissions, states));
    }
    Posteriors(r.Alpha(t), r.betas, static_cast<float>(r.offsets[t] + total - log_p), r.posteriors, states);
    float* to = dlogits + t * r.classes;
    Softmax(r.logits + t * r.classes, r.lse[t], to, r.classes);
    for (int64_t s = 0; s < states; ++s) to[r.states[s]] -= r.posteriors[s];
  }
}

/// One sample's -log p; its gradient where it is wanted.
double RunSample(const Job& job, int64_t n, double* workspace, bool& impossible) {
  const int32_t* label = job.label + n * job.labels;
  const kernels::CtcSample sample =
      kernels::CtcSampleOf(label, job.length[n], job.label_length[n], job.time_steps, job.labels);
  impossible = sample.impossible;
  const int64_t size = job.time_steps * job.classes, used = sample.time_steps * job.classes;
  float* dlogits = job.dlogits == nullptr ? nullptr : job.dlogits + n * size;
  if (dlogits != nullptr) std::fill(dlogits + used, dlogits + size, 0.0f);
  if (sample.time_steps == 0) return 0;
  const Rows rows(job, sample, job.logits + n * size, workspace);
  rows.Fill(rows.skips, kCtcNever);
  for (int64_t s = 0; s < sample.states; ++s) {
    rows.states[s] = kernels::CtcClass(label, s);
    CHECK(s % 2 == 0 || (rows.states[s] > 0 && rows.states[s] < job.classes), "label {} of {} classes", rows.states[s],
          job.classes);
    rows.skips[s] = kernels::CtcSkip(label, s);
  }
  double log_p = Forward(rows);
  if (log_p < 0.5 * static_cast<double>(kCtcNever)) log_p = -std::numeric_limits<double>::infinity();
  const bool number = log_p - log_p == 0;
  if (dlogits != nullptr && number) Backward(rows, log_p, dlogits);
  if (dlogits != nullptr && !number) std::fill_n(dlogits, used, static_cast<float>(kNotANumber));
  return -log_p;
}

int64_t Samples(const OpContext& context) { return context.InputShape(0).dim(0); }

/// Each thread's rows, then each sample's loss, and whether it is impossible.
size_t WorkspaceBytes(const OpContext& context) {
  const Layout layout(context.InputShape(0).dim(1), context.InputShape(1).dim(1));
  return static_cast<size_t>(context.threads * layout.size + 2 * Samples(context)) * sizeof(double);
}

std::unique_ptr<Kernel> PrepareCtc(const KernelContext& context) {
  const Shape &logits = context.InputShape(0), &label = context.InputShape(1);
  const Job job{context.Input(0),
                context.Input<int32_t>(1),
                context.Input<int32_t>(2),
                context.Input<int32_t>(3),
                context.Output(1),
                logits.dim(1),
                logits.dim(2),
                label.dim(1)};
  const int64_t size = Layout(job.time_steps, job.labels).size;
  auto* workspace = reinterpret_cast<double*>(context.operands.workspace);
  return MakeKernel([=, samples = Samples(context), threads = context.threads, sum = context.Output<double>(0),
                     count = context.Output<int64_t>(2)] {
    double* losses = workspace + threads * size;
    double* impossible = losses + samples;
    ForEachPiece(threads, samples, 1, [&](int piece, int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        bool none = false;
        losses[n] = RunSample(job, n, workspace + piece * size, none);
        impossible[n] = none ? 1 : 0;
      }
    });
    double total = 0, none = 0;
    for (int64_t n = 0; n < samples; ++n) {
      total += losses[n];
      none += impossible[n];
    }
    if (sum != nullptr) *sum = total;
    if (count != nullptr) *count = static_cast<int64_t>(none);
  });
}

LOCKSTEP_ISA_CLONES
void Scale(const float* from, float scale, float* to, int64_t begin, int64_t end) {
#pragma GCC ivdep
  for (int64_t i = begin; i < end; ++i) to[i] = from[i] * scale;
}

std::unique_ptr<Kernel> PrepareCtcGrad(const KernelContext& context) {
  return MakeKernel([from = context.Input(0), step_block = context.Input<graph::StepBlock>(1), to = context.Output(0),
                     size = context.InputShape(0).size(), loss = context.Attributes<graph::CtcAttributes>().loss,
                     threads = context.threads] {
    const float scale = step_block->loss_scale[loss];
    ForEachPiece(threads, size, 1 << 14, [&](int, int64_t begin, int64_t end) { Scale(from, scale, to, begin, end); });
  });
}

constexpr KernelRow kRows[] = {
    {.kind = OpKind::kCtc, .prepare = PrepareCtc, .workspace_bytes = WorkspaceBytes},
    {.kind = OpKind::kCtcGrad, .prepare = PrepareCtcGrad},
};

}  // namespace

std::span<const KernelRow> CtcRows() { return kRows; }

}  // namespace lockstep::onednn
