// `lockstep diff A B`: whether two checkpoints hold the same state, bit by bit, whoever wrote them on how many ranks;
// or whether two certificates agree on the steps that both have.
#pragma once

#include <string>

namespace lockstep::launch {

struct DiffOptions {
  std::string a, b;           ///< run folders, checkpoint folders or certificates
  bool certificates = false;  ///< of run folders, compare the certificates
};

/// Compares all arrays (weights with statistics, optimizer state, averages) and the loop's state: step, updates,
/// ledger, best score, evaluations. Not the attempt, the number of ranks, or the recipe. Prints the first tensor and
/// element that differ and how many do; returns 0 where nothing differs, else 1. Throws Error(kCheckpoint).
///
/// Of certificates it prints what differs first, the last common step before it, and in what builds and hardware
/// differ. Throws Error(kUsage) where there is nothing to compare.
int DiffCommand(const DiffOptions& options);

}  // namespace lockstep::launch
