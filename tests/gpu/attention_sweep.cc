#include "tests/gpu/attention_sweep.h"

#include <cstdio>
#include <memory>
#include <vector>

#include "base/memory.h"
#include "tests/gpu/device_timing.h"
#include "trainer/graph/graph.h"

namespace lockstep::gpu {
namespace {

struct Layer {
  int64_t rows, positions, heads, head_size;

  int64_t width() const { return heads * head_size; }
};

/// The gradient of attention of `rows` rows, as an op of its own.
graph::Graph GradientOf(const Layer& layer, int64_t rows) {
  graph::Graph graph;
  const auto add = [&](const char* name, Shape shape, DType type) {
    graph.values.push_back({name, shape, type});
    return static_cast<graph::ValueId>(graph.values.size() - 1);
  };
  const Shape result = {rows, layer.positions, layer.width()}, query = {rows, layer.positions, 3 * layer.width()};
  const graph::ValueId dy = add("dy", result, DType::kBF16), q = add("query", query, DType::kBF16),
                       y = add("y", result, DType::kBF16),
                       lse = add("lse", {rows, layer.heads, layer.positions}, DType::kF32),
                       dquery = add("dquery", query, DType::kBF16);
  const auto heads = static_cast<int>(layer.heads);
  graph.ops.push_back({graph::OpKind::kAttentionGrad,
                       {dy, q, graph::kNoValue, graph::kNoValue, y, lse},
                       {dquery, graph::kNoValue},
                       graph::AttentionAttributes{heads, heads, /*causal=*/true},
                       "attention_grad"});
  return graph;
}

/// All rows' operands.
struct LayerMemory {
  std::unique_ptr<DeviceMemory> dy, query, y, lse, dquery;

  LayerMemory(step::DeviceKit& kit, const Layer& layer) {
    const auto elements = static_cast<size_t>(layer.rows * layer.positions * layer.width());
    const auto make = [&](size_t bytes, DType type, const char* what) {
      auto memory = kit.device->Allocate(bytes, what);
      FillRandom(kit, type, memory->bytes());
      return memory;
    };
    dy = make(elements * 2, DType::kBF16, "dy");
    query = make(elements * 6, DType::kBF16, "query");
    y = make(elements * 2, DType::kBF16, "y");
    lse = make(static_cast<size_t>(layer.rows * layer.heads * layer.positions) * sizeof(float), DType::kF32, "lse");
    dquery = make(elements * 6, DType::kBF16, "dquery");
  }
};

/// The part of `memory` that belongs to row `row` of `rows` and those behind it.
std::byte* FromRow(const DeviceMemory& memory, int64_t row, int64_t rows) {
  return memory.data() + memory.size() / static_cast<size_t>(rows) * static_cast<size_t>(row);
}

void PrintOne(step::DeviceKit& kit, const Layer& layer, const LayerMemory& memory, int64_t at_once) {
  const graph::Graph graph = GradientOf(layer, at_once);
  const graph::Op& op = graph.ops.front();
  const size_t workspace_bytes = kit.backend->WorkspaceBytes(graph, op);
  const auto workspace = kit.device->Allocate(workspace_bytes, "workspace");
  std::vector<std::unique_ptr<engine::Kernel>> kernels;
  for (int64_t row = 0; row < layer.rows; row += at_once) {
    const auto from = [&](const DeviceMemory& operand) { return FromRow(operand, row, layer.rows); };
    engine::Operands operands;
    operands.inputs = {from(*memory.dy), from(*memory.query), nullptr, nullptr, from(*memory.y), from(*memory.lse)};
    operands.outputs = {from(*memory.dquery), nullptr};
    operands.packed.assign(operands.inputs.size(), nullptr);
    operands.workspace = workspace->data();
    kernels.push_back(kit.backend->Prepare(graph, op, operands));
  }
  const double seconds = SecondsOf(kit, [&] {
    for (const auto& kernel : kernels) kernel->Run();
  });
  std::printf("attention's gradient, %lld rows of %lld positions, %lld at once: %.3f ms, %.0f MiB of workspace\n",
              static_cast<long long>(layer.rows), static_cast<long long>(layer.positions),
              static_cast<long long>(at_once), 1e3 * seconds, static_cast<double>(workspace_bytes) / (1 << 20));
}

}  // namespace

void PrintAttentionSweep(step::DeviceKit& kit, bool small) {
  const Layer layer = small ? Layer{4, 16, 2, 8} : Layer{16, 1024, 12, 64};
  const LayerMemory memory(kit, layer);
  for (int64_t at_once = 1; at_once <= layer.rows; at_once *= 2) PrintOne(kit, layer, memory, at_once);
}

}  // namespace lockstep::gpu
