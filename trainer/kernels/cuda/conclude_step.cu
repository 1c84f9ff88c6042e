#include "trainer/kernels/cuda/conclude_step.h"

#include "trainer/kernels/cuda/blocks/launch.h"
#include "trainer/kernels/cuda/blocks/packs.h"

namespace lockstep::cuda {
namespace {

using optim::ChunkRecord;
using optim::ConclusionRules;
using optim::StepOutcome;

LOCKSTEP_HD bool IsFinite(double x) {
  return (__builtin_bit_cast(uint64_t, x) & 0x7FF0000000000000u) != 0x7FF0000000000000u;
}

/// One block. Chunk sums are added by one thread, in index order: its total stays in a register, and while it adds one
/// tile of them the block's threads read the next.
struct ConcludeStep {
  static constexpr int kThreads = 1024;
  static constexpr int kAhead = 8;  ///< squares read before they are added: what an addition waits for is the last one
  struct Shared {
    double tiles[2][kThreads];
    double total;
    uint64_t nonfinite[kThreads], changed[kThreads];  ///< complements: the greatest is the first element, 0 is none
    int32_t broken[kThreads];
  };

  const ChunkRecord* chunks;
  int64_t count, parameter_chunks;
  ConclusionRules rules;
  StepOutcome* outcome;

  template <typename Block>
  LOCKSTEP_HD void operator()(Block& block) const {
    Shared& shared = block.template SharedAs<Shared>();
    block.ForEachThread([&](int t) { LookAtRecords(shared, t); });
    TreeMax<kThreads>(block, shared.nonfinite);
    TreeMax<kThreads>(block, shared.changed);
    TreeMax<kThreads>(block, shared.broken);
    if (rules.want_norm || rules.clip_norm > 0) AddSquares(block, shared);
    block.ForEachThread([&](int t) {
      if (t == 0) Write(shared);
    });
  }

  LOCKSTEP_HD void LookAtRecords(Shared& shared, int t) const {
    uint64_t nonfinite = 0, changed = 0;
    int32_t broken = 0;
    for (int64_t i = t; i < count; i += kThreads) {
      const ChunkRecord record = chunks[i];
      // Records are in the order of the elements that they name.
      const uint64_t first = ~static_cast<uint64_t>(record.nonfinite),
                     first_changed = ~static_cast<uint64_t>(record.changed);
      nonfinite = first > nonfinite ? first : nonfinite;
      changed = first_changed > changed ? first_changed : changed;
      broken = IsFinite(record.squares) ? broken : 1;
    }
    shared.nonfinite[t] = nonfinite;
    shared.changed[t] = changed;
    shared.broken[t] = broken;
    if (t == 0) shared.total = 0;
  }

  template <typename Block>
  LOCKSTEP_HD void AddSquares(Block& block, Shared& shared) const {
    PerThread<double, kThreads> total;
    block.ForEachThread([&](int t) {
      total[t] = 0;
      ReadTile(shared, 0, t);
    });
    for (int64_t tile = 0; tile * kThreads < parameter_chunks; ++tile) {
      block.ForEachThread([&](int t) {
        ReadTile(shared, tile + 1, t);
        if (t == 0) total[t] = AddTile(total[t], shared.tiles[tile % 2]);
      });
    }
    block.ForEachThread([&](int t) {
      if (t == 0) shared.total = total[t];
    });
  }
  /// Zeros behind the last: they change no sum's bits.
  LOCKSTEP_HD void ReadTile(Shared& shared, int64_t tile, int t) const {
    const int64_t i = tile * kThreads + t;
    shared.tiles[tile % 2][t] = i < count && i < parameter_chunks ? chunks[i].squares : 0.0;
  }
  static LOCKSTEP_HD double AddTile(double total, const double* squares) {
    double ahead[kAhead];
    ReadAhead(squares, ahead);
    LOCKSTEP_ROLLED
    for (int i = kAhead; i <= kThreads; i += kAhead) {
      double now[kAhead];
      LOCKSTEP_UNROLL
      for (int k = 0; k < kAhead; ++k) now[k] = ahead[k];
      ReadAhead(squares + i % kThreads, ahead);  // the last time in vain
      LOCKSTEP_UNROLL
      for (int k = 0; k < kAhead; ++k) total += now[k];
    }
    return total;
  }
  static LOCKSTEP_HD void ReadAhead(const double* squares, double* ahead) {
    LOCKSTEP_UNROLL
    for (int k = 0; k < kAhead; k += 2) {
      const auto two = *reinterpret_cast<const Pack<double, 2>*>(squares + k);
      ahead[k] = two.at[0];
      ahead[k + 1] = two.at[1];
    }
  }

  LOCKSTEP_HD void Write(const Shared& shared) const {
    const double norm = sqrt(shared.total);
    outcome->norm = norm;
    outcome->nonfinite = static_cast<int64_t>(~shared.nonfinite[0]);
    outcome->changed = static_cast<int64_t>(~shared.changed[0]);
    const double factor = rules.clip_norm / (norm + 1e-6);
    outcome->gradient_scale = rules.clip_norm > 0 ? static_cast<float>(factor < 1.0 ? factor : 1.0) : 1.0f;
    outcome->skip = rules.skip_nonfinite ? shared.broken[0] : 0;
  }
};

}  // namespace

void LaunchConclusion(DeviceStream& stream, const ChunkRecord* chunks, int64_t count, int64_t parameter_chunks,
                      const ConclusionRules& rules, StepOutcome* outcome) {
  Launch(stream, 1, ConcludeStep{chunks, count, parameter_chunks, rules, outcome});
}

}  // namespace lockstep::cuda
