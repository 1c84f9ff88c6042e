// What the training data decide of a recipe: a run writes it into its own, and answers without the data.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/data.pb.h"
#include "data/dataset.h"

namespace lockstep::data {

/// Writes into `config` the form of samples, the names of classes, what the rows of a table say of its columns, and
/// mean and deviation where normalize has auto: of images by channel, of features and targets each for itself; 1 in
/// place of a deviation of 0. Warns where raw features are of very different sizes. `train` is what is trained on.
void SettleData(const std::shared_ptr<const Dataset>& train, uint64_t seed, DataConfig& config);

/// Words of each column that is embedded; none of data that are no table.
std::vector<int> CategoriesOf(const Dataset& train);

}  // namespace lockstep::data
