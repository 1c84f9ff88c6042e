// Which samples are trained on, and which are kept for validation and test: a pure function of the seed and of what the
// samples are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/data.pb.h"

namespace lockstep::data {

enum class SplitPart : uint8_t { kTrain, kValidation, kTest };

/// What is known of the samples. `labels` and `groups` have an entry for each, or none at all.
struct SplitSamples {
  uint64_t samples = 0;
  std::span<const int32_t> labels = {};
  std::span<const std::string> groups = {};
};

/// The part of each sample. Samples (of groups: groups) are put in an order that the seed draws; the first are for the
/// test, the next for validation. A part has its share of all samples, rounded; where stratified, of each class,
/// rounded so that shares add up to that of all, and each class keeps one sample to train on. Groups are put whole into
/// a part until it has its share. Throws Error(kUsage) where shares leave nothing to train on, or nothing can be done
/// as `config` says.
std::vector<SplitPart> DealSamples(const Split& config, const SplitSamples& samples);

}  // namespace lockstep::data
