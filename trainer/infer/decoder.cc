#include "trainer/infer/decoder.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "trainer/engine/compile.h"

namespace lockstep::infer {
namespace {

constexpr int64_t kPiece = 32;  // tokens that Read takes at once

size_t BytesOf(const graph::Value& value) { return static_cast<size_t>(value.bytes()); }

/// Of an InferenceProgram.
size_t ProgramBytes(const graph::Graph& graph, const engine::ParameterLayout& layout, engine::Backend& backend) {
  engine::CompileOptions options;
  options.mode = graph::Mode::kInfer;
  const engine::ProgramPlan plan = engine::Compile(graph, layout, backend, options);
  return static_cast<size_t>(plan.memory.bytes) + plan.workspace_bytes + plan.input_bytes + plan.packed_bytes;
}

}  // namespace

int64_t DecoderBytes(const DecoderModel& model, const engine::ParameterLayout& layout, engine::Backend& backend,
                     const Decoder::Options& options) {
  const graph::StepShape shape{
      .rows = options.rows, .tokens = 1, .capacity = options.capacity, .source = options.source};
  const graph::Model step = model.build_step(shape);
  size_t bytes = ProgramBytes(step.graph, layout, backend), largest = 0;
  for (const graph::Value& value : step.graph.values) {
    if (value.role != graph::Role::kState) continue;
    bytes += BytesOf(value);
    if (step.graph.outputs.contains(graph::kNextState + value.name)) largest = std::max(largest, BytesOf(value));
  }
  if (model.build_encoding)
    bytes += ProgramBytes(model.build_encoding(options.sources, options.source).graph, layout, backend);
  return static_cast<int64_t>(bytes + largest);
}

Decoder::Decoder(const DecoderModel& model, const Weights& weights, const Options& options)
    : model_(model), weights_(weights), options_(options), source_lengths_(static_cast<size_t>(options.rows)) {
  CHECK(options.rows >= 1 && options.capacity >= 1);
  graph::StepShape shape{.rows = options.rows, .tokens = 1, .capacity = options.capacity, .source = options.source};
  const graph::Model step = model.build_step(shape);
  AllocateStates(step.graph);
  step_ = std::make_unique<InferenceProgram>(step.graph, weights_, &states_);
  if (model.build_encoding) {
    CHECK(options.sources >= 1 && options.rows % options.sources == 0);
    encoding_ =
        std::make_unique<InferenceProgram>(model.build_encoding(options.sources, options.source).graph, weights_);
  }
}

void Decoder::AllocateStates(const graph::Graph& step) {
  size_t largest = 0;
  for (const graph::Value& value : step.values) {
    if (value.role != graph::Role::kState) continue;
    Buffer& memory = memory_[value.name] = Buffer(BytesOf(value));
    states_[value.name] = memory.data();
    if (!step.outputs.contains(graph::kNextState + value.name)) continue;
    changing_.push_back(value.name);
    largest = std::max(largest, memory.size());
  }
  reordered_ = Buffer(largest);
}

void Decoder::PackWeights() {
  for (InferenceProgram* program : {step_.get(), read_.get(), encoding_.get()})
    if (program != nullptr) program->PackWeights();
}

void Decoder::Reset() {
  length_ = 0;
  for (const std::string& name : changing_) std::memset(memory_.at(name).data(), 0, memory_.at(name).size());
}

void Decoder::Reset(std::span<const int32_t> tokens, std::span<const int32_t> lengths) {
  CHECK(static_cast<int64_t>(tokens.size()) == options_.sources * options_.source &&
        static_cast<int64_t>(lengths.size()) == options_.sources);
  Reset();
  std::copy(tokens.begin(), tokens.end(), encoding_->Input<int32_t>("source").begin());
  std::copy(lengths.begin(), lengths.end(), encoding_->Input<int32_t>("source_length").begin());
  encoding_->Run();
  const auto copies = static_cast<size_t>(options_.rows / options_.sources);
  for (size_t row = 0; row < source_lengths_.size(); ++row) source_lengths_[row] = lengths[row / copies];
  for (auto& [name, memory] : memory_) {
    if (!encoding_->graph().outputs.contains(name)) continue;
    const std::span<const std::byte> from = encoding_->Output<std::byte>(name);
    const size_t bytes = from.size() / lengths.size();
    for (size_t row = 0; row < source_lengths_.size(); ++row)
      std::memcpy(memory.data() + row * bytes, from.data() + row / copies * bytes, bytes);
  }
}

InferenceProgram& Decoder::Prepare(InferenceProgram& program) {
  const auto tokens = static_cast<int64_t>(program.Input<int32_t>("tokens").size()) / options_.rows;
  std::ranges::fill(program.Input<int32_t>("first"), static_cast<int32_t>(length_));
  std::ranges::fill(program.Input<int32_t>("length"), static_cast<int32_t>(length_ + tokens));
  const std::span<int32_t> lengths = program.Input<int32_t>("source_length");
  if (!lengths.empty()) std::ranges::copy(source_lengths_, lengths.begin());
  return program;
}

void Decoder::Read(std::span<const int32_t> tokens) {
  CHECK(options_.rows == 1 && length_ + static_cast<int64_t>(tokens.size()) <= options_.capacity);
  // A piece's places must all exist: what does not fill one is read token by token.
  while (static_cast<int64_t>(tokens.size()) >= kPiece) {
    if (read_ == nullptr) {
      const graph::StepShape shape{
          .rows = 1, .tokens = kPiece, .capacity = options_.capacity, .source = options_.source, .logits = false};
      read_ = std::make_unique<InferenceProgram>(model_.build_step(shape).graph, weights_, &states_);
    }
    std::copy_n(tokens.begin(), kPiece, read_->Input<int32_t>("tokens").begin());
    Prepare(*read_).Run();
    length_ += kPiece;
    tokens = tokens.subspan(kPiece);
  }
  for (const int32_t& token : tokens) Step({&token, 1});
}

std::span<const float> Decoder::Step(std::span<const int32_t> tokens) {
  CHECK(static_cast<int64_t>(tokens.size()) == options_.rows && length_ < options_.capacity);
  std::ranges::copy(tokens, step_->Input<int32_t>("tokens").begin());
  Prepare(*step_).Run();
  ++length_;
  return step_->Output<float>("logits");
}

void Decoder::Reorder(std::span<const int32_t> parents) {
  CHECK(static_cast<int64_t>(parents.size()) == options_.rows);
  bool same = true;
  for (size_t row = 0; row < parents.size(); ++row) same = same && parents[row] == static_cast<int32_t>(row);
  if (same) return;
  for (const std::string& name : changing_) {
    Buffer& memory = memory_.at(name);
    const size_t bytes = memory.size() / parents.size();
    for (size_t row = 0; row < parents.size(); ++row)
      std::memcpy(reordered_.data() + row * bytes, memory.data() + static_cast<size_t>(parents[row]) * bytes, bytes);
    std::memcpy(memory.data(), reordered_.data(), memory.size());
  }
}

}  // namespace lockstep::infer
