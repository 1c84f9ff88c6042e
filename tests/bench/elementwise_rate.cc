// What composed activations cost beside ours: milliseconds for a million elements on one core, as the ops that they are
// written in, and as the one that passes::FuseElementwise makes of them; and sums with operands that are broadcast.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "base/memory.h"
#include "base/threads.h"
#include "trainer/graph/builder.h"
#include "trainer/kernels/onednn/onednn_backend.h"
#include "trainer/passes/passes.h"

namespace {

using lockstep::Buffer;
using lockstep::DType;
using lockstep::Shape;
using lockstep::graph::Activation;
using lockstep::graph::BinaryFunction;
using lockstep::graph::Builder;
using lockstep::graph::Graph;
using lockstep::graph::UnaryFunction;
using lockstep::graph::ValueId;

constexpr int64_t kRows = 1024, kColumns = 1024;

/// All ops of a graph, each with memory of its own for its result.
class Runner {
 public:
  explicit Runner(const Graph& graph) : backend_(lockstep::MakeOneDnnBackend({.lane_threads = 1})) {
    for (const lockstep::graph::Value& value : graph.values) {
      memory_.emplace_back(static_cast<size_t>(value.bytes()));
      std::ranges::fill(memory_.back().As<float>(), 0.7f);
    }
    for (const lockstep::graph::Op& op : graph.ops) {
      operands_.push_back(std::make_unique<lockstep::engine::Operands>());
      for (const ValueId id : op.inputs) operands_.back()->inputs.push_back(AddressOf(id));
      for (const ValueId id : op.outputs) operands_.back()->outputs.push_back(AddressOf(id));
      kernels_.push_back(backend_->Prepare(graph, op, *operands_.back()));
    }
  }

  /// The least of many runs.
  double Milliseconds() {
    double least = std::numeric_limits<double>::infinity();
    for (int run = 0; run < 60; ++run) {
      const auto start = std::chrono::steady_clock::now();
      for (const auto& kernel : kernels_) kernel->Run();
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
      least = std::min(least, took.count());
    }
    return least;
  }

 private:
  void* AddressOf(ValueId id) {
    return id == lockstep::graph::kNoValue ? nullptr : memory_[static_cast<size_t>(id)].data();
  }

  std::unique_ptr<lockstep::engine::Backend> backend_;
  std::vector<Buffer> memory_;
  std::vector<std::unique_ptr<lockstep::engine::Operands>> operands_;
  std::vector<std::unique_ptr<lockstep::engine::Kernel>> kernels_;
};

using Layer = std::function<ValueId(Builder&, ValueId)>;

Graph GraphOf(const Layer& layer) {
  Builder b(lockstep::graph::Mode::kInfer, kRows);
  b.Output("y", layer(b, b.Input("x", {kColumns}, DType::kF32)));
  return b.Finish();
}

ValueId Gelu(Builder& b, ValueId x) {
  const ValueId erf = b.Unary(b.Binary(BinaryFunction::kDivide, x, 1.41421356f), {UnaryFunction::kErf});
  const ValueId gate = b.Binary(BinaryFunction::kAdd, erf, 1.0f);
  return b.Binary(BinaryFunction::kMultiply, b.Binary(BinaryFunction::kMultiply, x, gate), 0.5f);
}
ValueId Silu(Builder& b, ValueId x) {
  return b.Binary(BinaryFunction::kMultiply, x, b.Activate(x, Activation::kSigmoid));
}

void Compare(const char* name, const Layer& composed, Activation activation) {
  const double ours = Runner(GraphOf([&](Builder& b, ValueId x) { return b.Activate(x, activation); })).Milliseconds();
  const Graph written = GraphOf(composed);
  const double apart = Runner(written).Milliseconds();
  const double fused = Runner(lockstep::passes::FuseElementwise(written)).Milliseconds();
  fmt::print("{:28} {:8.3f} {:8.3f} {:8.3f} {:8.2f} {:8.2f}\n", name, ours, apart, fused, apart / ours, fused / ours);
}

void Sum(const char* name, const Shape& x, const Shape& other) {
  Builder b(lockstep::graph::Mode::kInfer, 1);
  const ValueId a = b.Input("x", x, DType::kF32), w = b.Parameter("w", other, {}, false);
  b.Output("y", b.Binary(BinaryFunction::kAdd, a, w));
  fmt::print("{:28} {:8.3f}\n", name, Runner(b.Finish()).Milliseconds());
}

}  // namespace

int main() {
  lockstep::PrepareComputeThread(1, "bench");
  fmt::print("{:28} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "", "ours", "apart", "fused", "apart/", "fused/");
  Compare("gelu", Gelu, Activation::kGelu);
  Compare("silu", Silu, Activation::kSilu);
  fmt::print("\nsums of a million\n");
  const double add = Runner(GraphOf([](Builder& b, ValueId x) { return b.Add(x, x); })).Milliseconds();
  fmt::print("{:28} {:8.3f}\n", "add (the same twice)", add);
  Sum("of the same shape", {1024, 1024}, {1024, 1024});
  Sum("with one number", {1024, 1024}, {1});
  Sum("with the last dimension", {1024, 1024}, {1024});
  Sum("with 16 of the last", {65536, 16}, {16});
  Sum("with 3 of the last", {349525, 3}, {3});
  Sum("with channels first", {16, 64, 1024}, {64, 1});
  Sum("with channels first, 7 x 7", {32, 668, 7, 7}, {668, 1, 1});
  Sum("with gates", {16, 1024, 64}, {16, 1, 64});
  Sum("with a column", {1024, 1024}, {1024, 1});
}
