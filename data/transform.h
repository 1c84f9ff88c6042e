// From a sample as a format holds it to rows of the program's inputs. MakeTransform's is the one that recipes
// configure: images become f32 and are normalised, shifted and mirrored; features are normalised; recordings become
// features (audio/speech_transform.h); pairs of sentences are put into rows (text/parallel_transform.h); tokens, labels
// and targets pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "data/data.pb.h"
#include "data/dataset.h"

namespace lockstep::data {

/// Pure: all randomness comes from (seed, epoch, id). Thread-safe.
class Transform {
 public:
  virtual ~Transform() = default;
  /// Fields of a sample after the transform: "image" f32 [height, width, channels] or "features" f32 [n], "label" i32
  /// [] or "target" f32 [k]. Dimensions of -1 are as long as the sample has places.
  virtual std::span<const Field> fields() const = 0;
  /// Places along dimensions of -1 of a sample whose Dataset::Lengths are `lengths`.
  virtual int64_t Places(std::span<const int64_t> /*lengths*/, uint64_t /*epoch*/, uint64_t /*id*/,
                         bool /*augment*/) const {
    return 0;
  }
  /// The most places that augmentation makes of `lengths`.
  virtual int64_t MostPlaces(std::span<const int64_t> /*lengths*/) const { return 0; }
  /// Writes the transformed fields to `rows`, one pointer per field. Dimensions of -1 are `places` long there, at least
  /// Places(); what is behind the sample's own is padding, and written too. `augment` is false in evaluation.
  virtual void Apply(const Sample& sample, uint64_t epoch, uint64_t id, bool augment, int64_t places,
                     std::span<std::byte* const> rows) const = 0;
};

/// For samples with `fields` (of a Dataset). A value x of channel c (of features: column c) becomes
/// (x * scale - mean[c]) / deviation[c], computed in f32 in this order. Augmentation then draws from the stream (seed,
/// epoch, sample id). Throws Error(kUsage) where normalize or augment don't fit the fields.
std::unique_ptr<Transform> MakeTransform(std::span<const Field> fields, const DataConfig& config, uint64_t seed);

}  // namespace lockstep::data
