// From pairs of sentences (parallel_text.h) to the inputs of a model that translates.
//
// Fields: "source" i32 [-1], the source's tokens and its end, padded with 0; "source_length" i32 [], how many they are;
// "tokens" i32 [-1], the begin and the target's tokens, padded with 0; "label" i32 [-1], the target's tokens and its
// end, padded with -1. Rows have as many positions as the longer of the two needs.
#pragma once

#include <memory>
#include <span>

#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/transform.h"

namespace lockstep::data {

/// For samples with `fields`. Throws Error(kUsage) as MakeTransform.
std::unique_ptr<Transform> MakeParallelTransform(std::span<const Field> fields, const DataConfig& config);

}  // namespace lockstep::data
