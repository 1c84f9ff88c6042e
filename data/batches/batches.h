// Which samples each lane trains on at each step, and in which shape: a pure function of (seed, step, lane) and of the
// samples' lengths, the same on every rank.
//
// Samples of one shape: step s takes positions [s B, (s + 1) B) of the endless stream (sampler.h), cut into equal
// lanes. Ragged samples: so too, but within pools of eight steps (which end with their epoch) positions go to samples
// by length, so that a lane pads little; which of the pool's batches comes when is drawn. Or, where batches hold a
// number of tokens: all samples of an epoch sorted by length, ties at random, are cut into rows of a table, each of at
// most batch_tokens time steps or tokens when all are padded to the longest; a step is a row, in an order drawn anew
// for each epoch, cut into lanes that may be unequal or empty. Either way positions count samples through all epochs
// without a gap.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/sampler.h"

namespace lockstep::data {

/// Of samples whose labels count alike in all losses.
inline LossCounts AllLosses(uint64_t labels) {
  LossCounts counts;
  counts.fill(labels);
  return counts;
}

/// What a program is made for.
struct BatchShape {
  int64_t rows = 1;
  int64_t length = 0;  ///< of dimensions that vary, in time steps of speech or tokens of text; 0 where none does

  friend bool operator==(const BatchShape&, const BatchShape&) = default;
};

/// The rows of one lane at one step.
struct LaneSamples {
  uint64_t first_position = 0;       ///< of the first; the others follow
  std::vector<Sampler::Pick> picks;  ///< by row; further rows of the shape stand for no sample
  int shape = 0;                     ///< in Batches::shapes(): the least that holds them
};

/// Thread-safe.
class Batches {
 public:
  virtual ~Batches() = default;
  std::span<const BatchShape> shapes() const { return shapes_; }
  /// Of step `step`'s first sample.
  virtual uint64_t FirstPosition(uint64_t step) const = 0;
  virtual void Lane(uint64_t step, int lane, LaneSamples& samples) const = 0;
  /// What the step divides its sums of losses by: what its samples count for (Transform::Count), each at least 1: there
  /// may be none in a few samples, as in transcripts of silence.
  virtual LossCounts Denominators(uint64_t step) const = 0;
  /// Time steps or tokens of the step's samples, padding left out; 0 where they have no length.
  virtual uint64_t TotalLength(uint64_t step) const = 0;
  /// Whole steps in `epochs` epochs, and steps in one on average.
  virtual uint64_t Steps(double epochs) const = 0;
  virtual double steps_per_epoch() const = 0;

 protected:
  std::vector<BatchShape> shapes_;
};

/// Where a run went on with other batches, or other data, than it began with: step `first_step` takes the samples from
/// first_position on. Of ragged samples that is where an epoch begins.
struct Leg {
  uint64_t first_step = 0, first_position = 0;

  friend bool operator==(const Leg&, const Leg&) = default;
};

struct BatchOptions {
  uint64_t seed = 0;
  int lanes = 1;
  uint64_t global_batch = 0;  ///< samples of a step; or
  uint64_t batch_tokens = 0;  ///< the most time steps or tokens of a step, padding included
  Leg leg = {};               ///< no step before its first is asked for
};

/// Whole batches in `epochs` epochs.
uint64_t WholeSteps(double epochs, uint64_t samples, uint64_t batch);
/// The step in which `epochs` epochs end, in batches of `batch` samples from `leg` on.
uint64_t StepsFrom(const Leg& leg, double epochs, uint64_t samples, uint64_t batch);

/// The least of `shapes`, which ascend in length, that holds `length`. REQUIRES: there is one.
int ShapeFor(std::span<const BatchShape> shapes, int64_t length);

}  // namespace lockstep::data
