// The splits of a recipe: training, validation and test data, each from a source of its own or cut from one.
#pragma once

#include <cstdint>
#include <memory>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/open/open_dataset.h"

namespace lockstep::data {

struct OpenedSplits {
  std::shared_ptr<const Dataset> train, validation, test;  ///< the latter two may be null
};

/// What `config` says of how its sources are opened, vocabularies apart.
OpenOptions OptionsOf(const DataConfig& config);

/// Opens what `config` names. `options` are OptionsOf(config), with a vocabulary. Warns where a part lacks classes that
/// another has, or has them in other shares. Throws as OpenDataset, CheckCompatible and DealSamples.
OpenedSplits OpenSplits(const DataConfig& config, uint64_t seed, OpenOptions options);

}  // namespace lockstep::data
