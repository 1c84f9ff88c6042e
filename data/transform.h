// From a sample as a format holds it to rows of the program's inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/sampler.h"

namespace lockstep::data {

/// Normalises values of one channel after the other, the same for every pixel: (x * scale - mean) / deviation, each of
/// the three operations rounded to f32.
struct Normalizer {
  float scale = 1;
  std::vector<float> mean;       ///< per channel
  std::vector<float> deviation;  ///< per channel

  float Of(float x, size_t channel) const { return (x * scale - mean[channel]) / deviation[channel]; }
};

/// The field in which a transform that leaves bytes as they are says which part of its first field they fill: i32 [4],
/// rows [inside 0, inside 2) and columns [inside 1, inside 3). Elsewhere normalised values are 0 (which bytes of 0 need
/// not be), and all over a row that stands for no sample.
inline constexpr char kFilledField[] = "filled";

/// Pure: all randomness comes from (seed, epoch, id). Thread-safe.
class Transform {
 public:
  virtual ~Transform() = default;
  /// Fields of a sample after the transform: "image" f32 [height, width, channels] (AsBytes: u8) or "features" f32 [n],
  /// "label" i32 [] or "target" f32 [k]. Dimensions of -1 vary: they are time steps of speech, tokens of text.
  virtual std::span<const Field> fields() const = 0;
  /// The length of dimensions of -1 of a sample whose SampleSize::lengths are `lengths`.
  virtual int64_t SequenceLength(std::span<const int64_t> /*lengths*/, uint64_t /*epoch*/, uint64_t /*id*/,
                                 bool /*augment*/) const {
    return 0;
  }
  /// What a sample of that size counts for in each loss: its labels.
  virtual LossCounts Count(const SampleSize& size, uint64_t /*epoch*/, uint64_t /*id*/, bool /*augment*/) const {
    LossCounts counts;
    counts.fill(size.labels);
    return counts;
  }
  /// Whether augmentation changes the lengths of samples.
  virtual bool stretches() const { return false; }
  /// The greatest length that augmentation makes of `lengths`.
  virtual int64_t LongestSequence(std::span<const int64_t> /*lengths*/) const { return 0; }
  /// Writes the transformed fields to `rows`, one pointer per field. Dimensions of -1 are `length` long there, at least
  /// SequenceLength(); what is behind the sample's own is padding, and written too. `augment` is false in evaluation.
  virtual void Apply(const Sample& sample, uint64_t epoch, uint64_t id, bool augment, int64_t length,
                     std::span<std::byte* const> rows) const = 0;
  /// Mixes the rows of a training batch with each other where augmentation asks for it. `fields` points to the first
  /// row of each field, the others lie behind it; row i is the sample picks[i].
  virtual void MixRows(std::span<const Sampler::Pick> /*picks*/, std::span<std::byte* const> /*fields*/) const {}

  /// The same transform without its last step, for a device that does that step itself: its first field is u8, to be
  /// normalised as its normalizer() says, and it has a field kFilledField. Null where values are no bytes before they
  /// are normalised, or are changed behind that.
  virtual std::unique_ptr<Transform> AsBytes() const { return nullptr; }
  /// What becomes of the bytes of field 0. Null where they are normalised already.
  virtual const Normalizer* normalizer() const { return nullptr; }
};

}  // namespace lockstep::data
