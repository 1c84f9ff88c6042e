// A model that writes token by token: it remembers what it has read (keys and values, recurrent states), so that each
// further token costs one place and not the whole prefix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/memory.h"
#include "trainer/graph/builder.h"
#include "trainer/graph/step_shape.h"
#include "trainer/infer/inference_program.h"

namespace lockstep::infer {

/// How a model's graphs are built (models::BuildStep, models::BuildEncoding).
struct DecoderModel {
  std::function<graph::Model(const graph::StepShape& shape)> build_step;
  std::function<graph::Model(int64_t rows, int64_t places)> build_encoding;  ///< null: it reads no source
};

/// Sequences side by side, of one length. One thread at a time.
class Decoder {
 public:
  struct Options {
    int64_t rows = 1;
    int64_t capacity = 0;  ///< places that a sequence may come to
    int64_t source = 0;    ///< of a translator: places of the source
    int64_t sources = 0;   ///< ...: how many there are; rows is a multiple, those of one source side by side
  };
  Decoder(const DecoderModel& model, const Weights& weights, const Options& options);

  const Options& options() const { return options_; }
  int64_t length() const { return length_; }  ///< places read so far
  /// To be called again when the weights have changed.
  void PackWeights();

  /// Begins new sequences.
  void Reset();
  /// ... of a translator, with `tokens` i32 [sources, source] of `lengths` [sources] places.
  void Reset(std::span<const int32_t> tokens, std::span<const int32_t> lengths);
  /// Reads `tokens`, of the one row, in pieces. REQUIRES: rows == 1, and that they fit.
  void Read(std::span<const int32_t> tokens);
  /// Reads one token of each row. Result: the logits of the next [rows, vocabulary], valid until the next call.
  /// REQUIRES: length() < capacity.
  std::span<const float> Step(std::span<const int32_t> tokens);
  /// Row r goes on from what row parents[r] has read.
  void Reorder(std::span<const int32_t> parents);

 private:
  void AllocateStates(const graph::Graph& step);
  InferenceProgram& Prepare(InferenceProgram& program);

  const DecoderModel model_;
  const Weights weights_;
  const Options options_;
  int64_t length_ = 0;
  std::vector<int32_t> source_lengths_;  ///< by row
  std::map<std::string, Buffer> memory_;
  std::map<std::string, std::byte*> states_;
  std::vector<std::string> changing_;  ///< states that a step changes
  Buffer reordered_;                   ///< one state
  std::unique_ptr<InferenceProgram> step_, read_, encoding_;
};

/// Bytes that a Decoder of these will hold, worked out.
int64_t DecoderBytes(const DecoderModel& model, const engine::ParameterLayout& layout, engine::Backend& backend,
                     const Decoder::Options& options);

}  // namespace lockstep::infer
