#include "trainer/infer/sample_inputs.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "base/first_error.h"
#include "base/threads.h"

namespace lockstep::infer {

SampleInputs::SampleInputs(std::shared_ptr<const data::Transform> transform) : transform_(std::move(transform)) {
  for (const data::Field& field : transform_->fields())
    unused_.emplace_back(static_cast<size_t>(field.shape.size() * SizeOf(field.dtype)));
}

void SampleInputs::Fill(const data::Dataset& samples, uint64_t first, uint64_t count, InferenceProgram& program) {
  std::vector<std::byte*> pointers(unused_.size());
  for (uint64_t i = 0; i < count; ++i) {
    for (size_t field = 0; field < unused_.size(); ++field) {
      const std::span<std::byte> input = program.Input<std::byte>(transform_->fields()[field].name);
      pointers[field] = input.empty() ? unused_[field].data() : input.data() + i * unused_[field].size();
    }
    samples.Read(0, first + i, sample_);
    transform_->Apply(sample_, 0, first + i, /*augment=*/false, 0, pointers);
  }
}

uint64_t UsefulThreads(uint64_t samples, uint64_t rows, int threads) {
  return std::min<uint64_t>(static_cast<uint64_t>(threads), (samples + rows - 1) / rows);
}

void AnswerBlocks(uint64_t samples, uint64_t rows, std::span<const AnswerBlock> workers) {
  const uint64_t blocks = (samples + rows - 1) / rows;
  std::atomic<uint64_t> next = 0;
  FirstError error;
  const auto work = [&](const AnswerBlock& answer) {
    try {
      for (uint64_t block; (block = next++) < blocks;)
        answer(block * rows, std::min<uint64_t>(rows, samples - block * rows));
    } catch (...) {
      error.Keep();
      next = blocks;
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < workers.size(); ++i)
    others.push_back(StartThread("predict", [&, i] {
      PrepareComputeThread(1, "");
      work(workers[i]);
    }));
  if (!workers.empty()) work(workers.front());
  for (std::thread& other : others) other.join();
  error.Rethrow();
}

}  // namespace lockstep::infer
