// What rows of a batch are trained towards beside their labels: data.class_weights, and other rows' labels where
// data.augment mixes rows.
#pragma once

#include <cstdint>
#include <memory>

#include "data/data.pb.h"
#include "data/transform.h"

namespace lockstep::data {

/// `transform` with further fields, where `config` asks for what needs them: "weight" f32 [], and where labels are
/// mixed "other_label" i32 [] and "other_weight" f32 [] (graph::OpKind::kSoftmaxCrossEntropy). Before MixRows other
/// weights are 0. Targets of regression are mixed themselves. Throws Error(kUsage) naming the field.
std::unique_ptr<Transform> WithRowWeights(std::unique_ptr<Transform> transform, const DataConfig& config,
                                          uint64_t seed);

}  // namespace lockstep::data
