// The alignments of a sample's label with its time steps: a block goes through the time steps, with a thread for every
// 256th state, and back (Graves et al. 2006, equations 6 to 16). The arithmetic of a state is the CPU's, in
// kernels/ctc.h.
#pragma once

#include <cstdint>
#include <limits>

#include "trainer/kernels/ctc.h"
#include "trainer/kernels/cuda/blocks/block.h"
#include "trainer/kernels/cuda/blocks/packs.h"

namespace lockstep::cuda {

// Constants, as device code may not call std::numeric_limits.
inline constexpr float kCtcInfinity = std::numeric_limits<float>::infinity();
inline constexpr double kCtcImpossible = -std::numeric_limits<double>::infinity();
inline constexpr double kCtcNotANumber = std::numeric_limits<double>::quiet_NaN();

/// Where a sample's rows lie, each of most_states.
struct SampleRows {
  float *alphas, *betas, *next, *posteriors;  ///< [time steps]; [2], by parity of the time step; one each
  int32_t* same;                              ///< the next state of the same class; 0: there is none
  int32_t* first;                             ///< whether a state is its class's first
};

template <typename T>
struct AlignSamples {
  static constexpr int kThreads = 256;
  struct Shared {
    float values[kThreads];
    float largest, sum;
    double total, log_p;
    double checks[kThreads];
    bool wrong[kThreads];
    kernels::CtcSample sample;
  };

  const T* logits;
  const int32_t *labels, *lengths, *label_lengths;
  const double* lses;
  float* dlogits;  ///< absent: nullptr
  double *offsets, *losses;
  int64_t* impossible;
  float* rows;
  int32_t* chains;
  int64_t time_steps, classes, most_labels;

  LOCKSTEP_HD int64_t most_states() const { return 2 * most_labels + 1; }
  LOCKSTEP_HD SampleRows RowsOf(int64_t n) const {
    const int64_t row = most_states();
    float* const own = rows + n * (time_steps + 4) * row;
    int32_t* const own_chains = chains + n * 2 * row;
    return {own,        own + time_steps * row, own + (time_steps + 2) * row, own + (time_steps + 3) * row,
            own_chains, own_chains + row};
  }

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    const int64_t n = block.index();
    block.ForEachThread([&](int t) {
      if (t != 0) return;
      shared.sample =
          kernels::CtcSampleOf(labels + n * most_labels, lengths[n], label_lengths[n], time_steps, most_labels);
      shared.total = 0;
      shared.log_p = 0;
      impossible[n] = shared.sample.impossible ? 1 : 0;
    });
    const kernels::CtcSample sample = shared.sample;
    ClearRest(block, n, sample.time_steps);
    if (sample.time_steps > 0) {
      const SampleRows r = RowsOf(n);
      Check(block, shared, n, sample);
      for (int64_t time_step = 0; time_step < sample.time_steps; ++time_step)
        Advance(block, shared, r, n, sample, time_step);
      Finish(block, shared, r, sample);
      if (dlogits != nullptr) Gradient(block, shared, r, n, sample);
    }
    block.ForEachThread([&](int t) {
      if (t == 0) losses[n] = sample.time_steps > 0 ? -shared.log_p : 0.0;
    });
  }

 private:
  LOCKSTEP_HD const int32_t* Label(int64_t n) const { return labels + n * most_labels; }
  LOCKSTEP_HD float Emission(int64_t n, int64_t time_step, int64_t state) const {
    const int32_t c = kernels::CtcClass(Label(n), state);
    if (c < 0 || c >= classes) return kernels::kCtcNever;
    return kernels::CtcEmission(ToFloat(logits[(n * time_steps + time_step) * classes + c]),
                                lses[n * time_steps + time_step]);
  }

  template <typename Block>
  LOCKSTEP_HD void ClearRest(Block& block, int64_t n, int64_t used) const {
    block.ForEachThread([&](int t) {
      if (dlogits == nullptr) return;
      for (int64_t i = used * classes + t; i < time_steps * classes; i += kThreads)
        dlogits[n * time_steps * classes + i] = 0.0f;
    });
  }

  /// shared.total becomes not-a-number where a logit is, is infinite, or a label has no class.
  template <typename Block>
  LOCKSTEP_HD void Check(Block& block, Shared& shared, int64_t n, const kernels::CtcSample& sample) const {
    block.ForEachThread([&](int t) {
      double check = 0;
      for (int64_t time_step = t; time_step < sample.time_steps; time_step += kThreads) {
        check += lses[n * time_steps + time_step] - lses[n * time_steps + time_step];
      }
      for (int64_t i = t; i < sample.states / 2; i += kThreads) {
        const int32_t c = Label(n)[i];
        if (c <= 0 || c >= classes) check = kCtcNotANumber;
      }
      shared.checks[t] = check;
    });
    TreeSum<kThreads>(block, shared.checks);
    block.ForEachThread([&](int t) {
      if (t == 0) shared.total = shared.checks[0];
    });
  }

  /// The largest of what the threads left in shared.values, which `offset` takes from all later.
  template <typename Block>
  LOCKSTEP_HD void KeepLargest(Block& block, Shared& shared, double* offset) const {
    TreeMax<kThreads>(block, shared.values);
    block.ForEachThread([&](int t) {
      if (t != 0) return;
      shared.largest = shared.values[0];
      shared.total += static_cast<double>(shared.largest);
      if (offset != nullptr) *offset = shared.total;
    });
  }

  template <typename Block>
  LOCKSTEP_HD void Advance(Block& block, Shared& shared, const SampleRows& r, int64_t n,
                           const kernels::CtcSample& sample, int64_t time_step) const {
    float* const alphas = r.alphas + time_step * most_states();
    const float* const before = alphas - most_states();
    const auto from = [&](int64_t state) {
      if (state < 0) return kernels::kCtcNever;
      if (time_step == 0)
        return state == 0 ? 0.0f : kernels::kCtcNever;  // before the first time step: a step from the first state
      return before[state];
    };
    block.ForEachThread([&](int t) {
      float largest = -kCtcInfinity;
      for (int64_t s = t; s < sample.states; s += kThreads) {
        alphas[s] = kernels::CtcLogSum(from(s), from(s - 1), from(s - 2) + kernels::CtcSkip(Label(n), s)) +
                    Emission(n, time_step, s);
        largest = kernels::CtcLarger(alphas[s], largest);
      }
      shared.values[t] = largest;
    });
    KeepLargest(block, shared, &offsets[n * time_steps + time_step]);
    block.ForEachThread([&](int t) {
      for (int64_t s = t; s < sample.states; s += kThreads) alphas[s] -= shared.largest;
    });
  }

  template <typename Block>
  LOCKSTEP_HD void Finish(Block& block, Shared& shared, const SampleRows& r, const kernels::CtcSample& sample) const {
    block.ForEachThread([&](int t) {
      if (t != 0) return;
      const float* const last = r.alphas + (sample.time_steps - 1) * most_states();
      const int64_t states = sample.states;
      const float end =
          kernels::CtcLogSum(last[states - 1], states > 1 ? last[states - 2] : kernels::kCtcNever, kernels::kCtcNever);
      const double log_p = shared.total + static_cast<double>(end);
      shared.log_p = log_p < 0.5 * static_cast<double>(kernels::kCtcNever) ? kCtcImpossible : log_p;
      shared.total = 0;
    });
  }

  template <typename Block>
  LOCKSTEP_HD void Gradient(Block& block, Shared& shared, const SampleRows& r, int64_t n,
                            const kernels::CtcSample& sample) const {
    block.ForEachThread([&](int t) {
      for (int64_t s = t; s < sample.states; s += kThreads) {
        const int32_t c = kernels::CtcClass(Label(n), s);
        int64_t same = s + 1, earlier = s - 1;
        while (same < sample.states && kernels::CtcClass(Label(n), same) != c) ++same;
        while (earlier >= 0 && kernels::CtcClass(Label(n), earlier) != c) --earlier;
        r.same[s] = same < sample.states ? static_cast<int32_t>(same) : 0;
        r.first[s] = earlier < 0 ? 1 : 0;
      }
    });
    for (int64_t time_step = sample.time_steps - 1; time_step >= 0; --time_step) {
      Retreat(block, shared, r, n, sample, time_step);
      Share(block, shared, r, n, sample, time_step);
    }
  }

  template <typename Block>
  LOCKSTEP_HD void Retreat(Block& block, Shared& shared, const SampleRows& r, int64_t n,
                           const kernels::CtcSample& sample, int64_t time_step) const {
    float* const betas = r.betas + time_step % 2 * most_states();
    const float* const behind = r.betas + (time_step + 1) % 2 * most_states();
    const bool last = time_step + 1 == sample.time_steps;
    block.ForEachThread([&](int t) {
      for (int64_t s = t; s < sample.states && !last; s += kThreads)
        r.next[s] = behind[s] + Emission(n, time_step + 1, s);
    });
    const auto next = [&](int64_t state) { return state < sample.states ? r.next[state] : kernels::kCtcNever; };
    block.ForEachThread([&](int t) {
      float largest = -kCtcInfinity;
      for (int64_t s = t; s < sample.states; s += kThreads) {
        const float skip = s + 2 < sample.states ? kernels::CtcSkip(Label(n), s + 2) : kernels::kCtcNever;
        if (last) {
          betas[s] = s + 2 >= sample.states ? 0.0f : kernels::kCtcNever;
        } else {
          betas[s] = kernels::CtcLogSum(next(s), next(s + 1), next(s + 2) + skip);
        }
        largest = kernels::CtcLarger(betas[s], largest);
      }
      shared.values[t] = largest;
    });
    KeepLargest(block, shared, nullptr);
    block.ForEachThread([&](int t) {
      for (int64_t s = t; s < sample.states; s += kThreads) betas[s] -= shared.largest;
    });
  }

  /// dlogits of a time step: softmax less the classes' shares, which add up to 1.
  template <typename Block>
  LOCKSTEP_HD void Share(Block& block, Shared& shared, const SampleRows& r, int64_t n, const kernels::CtcSample& sample,
                         int64_t time_step) const {
    const float* const alphas = r.alphas + time_step * most_states();
    const float* const betas = r.betas + time_step % 2 * most_states();
    const int64_t sequence = n * time_steps + time_step;
    const auto shift = static_cast<float>(offsets[sequence] + shared.total - shared.log_p);
    block.ForEachThread([&](int t) {
      float sum = 0;
      for (int64_t s = t; s < sample.states; s += kThreads) {
        r.posteriors[s] = kernels::Exp(alphas[s] + betas[s] + shift);
        sum += r.posteriors[s];
      }
      shared.values[t] = sum;
      for (int64_t c = t; c < classes; c += kThreads) {
        const int64_t at = sequence * classes + c;
        dlogits[at] = kernels::CtcSoftmax(ToFloat(logits[at]), lses[sequence]);
      }
    });
    TreeSum<kThreads>(block, shared.values);
    block.ForEachThread([&](int t) {
      const float factor = 1.0f / shared.values[0];
      for (int64_t s = t; s < sample.states; s += kThreads) {
        if (r.first[s] == 0) continue;
        const int32_t c = kernels::CtcClass(Label(n), s);
        if (c < 0 || c >= classes) continue;
        float share = r.posteriors[s] * factor;
        for (int64_t other = r.same[s]; other != 0; other = r.same[other]) share += r.posteriors[other] * factor;
        dlogits[sequence * classes + c] -= share;
      }
    });
    block.ForEachThread([&](int t) {
      const double difference = shared.log_p - shared.log_p;
      if (difference == 0) return;
      for (int64_t c = t; c < classes; c += kThreads)
        dlogits[sequence * classes + c] = static_cast<float>(kCtcNotANumber);
    });
  }
};

}  // namespace lockstep::cuda
