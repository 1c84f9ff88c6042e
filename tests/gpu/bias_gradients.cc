#include "tests/gpu/bias_gradients.h"

#include <cstdio>
#include <vector>

#include "tests/gpu/device_timing.h"
#include "trainer/graph/graph.h"

namespace lockstep::gpu {
namespace {

struct Layer {
  int64_t rows, in, out;
};

/// The gradients of a layer's weight and bias, as an op of its own.
graph::Graph GradientsOf(const Layer& layer, bool weight, bool bias) {
  graph::Graph graph;
  graph.values = {{"dy", {layer.rows, layer.out}, DType::kBF16},
                  {"x", {layer.rows, layer.in}, DType::kBF16},
                  {"dweight", {layer.out, layer.in}, DType::kF32},
                  {"dbias", {layer.out}, DType::kF32}};
  graph.ops.push_back({graph::OpKind::kLinearWeightGrad,
                       {0, 1},
                       {weight ? 2 : graph::kNoValue, bias ? 3 : graph::kNoValue},
                       graph::LinearAttributes{},
                       "weight_grad"});
  return graph;
}

double SecondsOfGradients(step::DeviceKit& kit, const Layer& layer, bool weight, bool bias) {
  const graph::Graph graph = GradientsOf(layer, weight, bias);
  const graph::Op& op = graph.ops.front();
  const auto allocate = [&](int64_t elements, DType type, const char* what) {
    auto memory = kit.device->Allocate(static_cast<size_t>(elements * SizeOf(type)), what);
    FillRandom(kit, type, memory->bytes());
    return memory;
  };
  const auto dy = allocate(layer.rows * layer.out, DType::kBF16, "dy"),
             x = allocate(layer.rows * layer.in, DType::kBF16, "x"),
             dweight = allocate(layer.out * layer.in, DType::kF32, "dweight"),
             dbias = allocate(layer.out, DType::kF32, "dbias");
  const auto workspace = kit.device->Allocate(kit.backend->WorkspaceBytes(graph, op), "workspace");
  engine::Operands operands;
  operands.inputs = {dy->data(), x->data()};
  operands.outputs = {weight ? dweight->data() : nullptr, bias ? dbias->data() : nullptr};
  operands.packed = {nullptr, nullptr};
  operands.workspace = workspace->data();
  const auto kernel = kit.backend->Prepare(graph, op, operands);
  return SecondsOf(kit, [&] { kernel->Run(); });
}

}  // namespace

void PrintBiasGradients(step::DeviceKit& kit, bool small) {
  std::vector<Layer> layers = {{65536, 768, 768}, {65536, 768, 2304}, {65536, 768, 3072}, {65536, 3072, 768}};
  if (small) layers = {{64, 16, 32}};
  for (const Layer& layer : layers) {
    std::printf(
        "gradients of a layer from %lld to %lld, %lld rows: %.3f ms both, %.3f ms the weight's, %.3f ms the bias's\n",
        static_cast<long long>(layer.in), static_cast<long long>(layer.out), static_cast<long long>(layer.rows),
        1e3 * SecondsOfGradients(kit, layer, true, true), 1e3 * SecondsOfGradients(kit, layer, true, false),
        1e3 * SecondsOfGradients(kit, layer, false, true));
  }
}

}  // namespace lockstep::gpu
