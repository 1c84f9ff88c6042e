// The data of a run: its splits, how training takes its samples, and how long that is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "data/batches/batches.h"
#include "data/dataset.h"
#include "data/transform.h"
#include "trainer/metrics/metrics.h"
#include "trainer/optim/schedule.h"
#include "trainer/plan/train.pb.h"

namespace lockstep::plan {

struct Splits {
  std::shared_ptr<const data::Dataset> train, validation, test;  ///< the latter two may be null
  std::shared_ptr<const data::Transform> transform;
  std::shared_ptr<const data::Batches> batches;  ///< of training
  /// Makes `batches` for a run that goes on at a leg.
  std::function<std::shared_ptr<const data::Batches>(const data::Leg&)> make_batches;
  data::Leg leg;            ///< that `batches` are made for
  optim::RunLength length;  ///< of `batches` (LengthOf)
  std::string train_files;  ///< what messages call the training data: "a.csv", "a.bin, b.bin"

  /// Where there is no test split: the training samples that the last line reports on.
  std::shared_ptr<const data::Dataset> train_part;

  /// The split that the last line reports on, and its name.
  const std::shared_ptr<const data::Dataset>& reported() const { return test ? test : train_part; }
  const char* reported_name() const { return test ? "test" : "train"; }
};

/// Keeps of the splits that are evaluated what `config` says (a part of the training data where there is no test
/// split), drawn by the seed. REQUIRES: train, batches and, where they exist, the others are set.
void LimitEvaluations(const EvaluateConfig& config, uint64_t seed, Splits& splits);

/// Lets a device make floats of images that are bytes until they are normalised (Transform::AsBytes): a quarter of the
/// bytes goes up. The values that a program computes with stay the same.
void DeliverBytes(Splits& splits);

/// Tokens (of speech: frames) that step `step` trains on, without padding; 0 where samples are none.
uint64_t TokensOf(const Splits& splits, metrics::Task task, uint64_t step);

/// The whole run: `steps`, or the whole ones in `epochs` epochs, and steps per epoch. Throws Error(kUsage) where there
/// are none.
optim::RunLength LengthOf(const TrainConfig& config, const data::Batches& batches);

/// `splits` with the batches, and the length, of a run that went on at `leg`.
Splits SplitsFrom(const Splits& splits, const data::Leg& leg, const TrainConfig& config);

}  // namespace lockstep::plan
