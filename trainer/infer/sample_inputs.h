// Samples in the inputs of an inference program, and threads that work through many of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/transform.h"
#include "trainer/infer/inference_program.h"

namespace lockstep::infer {

/// One thread at a time.
class SampleInputs {
 public:
  explicit SampleInputs(std::shared_ptr<const data::Transform> transform);

  /// Samples [first, first + count) of `samples`, without augmentation, in the first rows of the program's inputs.
  void Fill(const data::Dataset& samples, uint64_t first, uint64_t count, InferenceProgram& program);

 private:
  const std::shared_ptr<const data::Transform> transform_;
  data::Sample sample_;
  std::vector<std::vector<std::byte>> unused_;  ///< fields that the model does not read, by field
};

/// Answers samples [first, first + count).
using AnswerBlock = std::function<void(uint64_t first, uint64_t count)>;

/// Cuts `samples` into blocks of `rows`, each of which one of the workers answers on a thread of its own, the first on
/// this one. Throws what one of them threw.
void AnswerBlocks(uint64_t samples, uint64_t rows, std::span<const AnswerBlock> workers);

/// How many threads are of use.
uint64_t UsefulThreads(uint64_t samples, uint64_t rows, int threads);

}  // namespace lockstep::infer
