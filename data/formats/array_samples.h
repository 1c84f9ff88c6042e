// The samples of several arrays: those in which nothing is wrong are kept, and their elements become columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/formats/array_elements.h"
#include "data/memory_dataset.h"
#include "data/table/broken_rows.h"

namespace lockstep::data {

class KeptSamples {
 public:
  /// `on_broken` as BrokenRows.
  KeptSamples(size_t samples, std::function<void(const Error&)> on_broken)
      : kept_(samples, 1), broken_(std::move(on_broken)) {}

  size_t samples() const { return kept_.size(); }
  bool Has(size_t sample) const { return kept_[sample] != 0; }
  uint64_t Count() const;
  /// Leaves it out.
  void Drop(size_t sample) { kept_[sample] = 0; }
  void Drop(size_t sample, const Error& error);
  /// Throws what was wrong, where nobody was told.
  void ThrowIfAny() const { broken_.ThrowIfAny(); }
  /// The column of all samples without those that were left out.
  Column Keep(Column column) const;

 private:
  std::vector<uint8_t> kept_;  ///< 1 or 0
  BrokenRows broken_;
};

/// Elements of all samples as floats: f32 [samples, ...]. One that is not finite leaves its sample out.
std::vector<std::byte> ReadFloats(const NamedArray& array, KeptSamples& kept);

/// Throws Error(kData) where the array has another number of rows than there are samples of `first`. `what`: as
/// messages call them, "labels".
void RequireSamples(const NamedArray& array, const std::string& what, const KeptSamples& kept, const Origin& first);

}  // namespace lockstep::data
