// How fast ops over tensors of any rank go through memory on one core, beside a plain copy: a table of operands read
// and results written, in GB/s.
//
//   build/release/tests/bench/tensor_rate
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>

#include "base/memory.h"
#include "trainer/graph/op_table.h"
#include "trainer/graph/strided.h"
#include "trainer/kernels/onednn/onednn_backend.h"

namespace lockstep {
namespace {

using graph::AxisBits;
using graph::OpKind;
using graph::ReduceAttributes;
using graph::ReduceFunction;

double BestSeconds(const std::function<void()>& run) {
  double best = 1e9;
  for (int i = 0; i < 9; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

struct Row {
  const char* name;
  OpKind kind;
  std::vector<Shape> operands;
  graph::Attributes attributes;
};

void Measure(engine::Backend& backend, const Row& row) {
  graph::Graph graph;
  std::vector<graph::ValueId> ids;
  for (const Shape& shape : row.operands) {
    ids.push_back(static_cast<graph::ValueId>(graph.values.size()));
    graph.values.push_back({.name = fmt::format("x{}", ids.back()), .shape = shape});
  }
  graph::AppendOp(graph, row.kind, ids, row.attributes, row.name);
  std::vector<Buffer> buffers;
  size_t bytes = 0;
  for (const graph::Value& value : graph.values) {
    buffers.emplace_back(static_cast<size_t>(value.bytes()));
    bytes += static_cast<size_t>(value.bytes());
    std::ranges::fill(buffers.back().As<float>(), 0.5f);
  }
  Buffer workspace(std::max<size_t>(64, backend.WorkspaceBytes(graph, graph.ops[0])));
  engine::Operands operands;
  for (size_t i = 0; i < ids.size(); ++i) operands.inputs.push_back(buffers[i].As<std::byte>().data());
  operands.outputs = {buffers.back().As<std::byte>().data()};
  operands.workspace = workspace.As<std::byte>().data();
  const auto kernel = backend.Prepare(graph, graph.ops[0], operands);
  const double seconds = BestSeconds([&] { kernel->Run(); });
  fmt::print("{:<44} {:>8.2f} ms {:>7.1f} GB/s\n", row.name, 1e3 * seconds, static_cast<double>(bytes) / seconds / 1e9);
}

void MeasureCopy(size_t elements) {
  Buffer from(elements * sizeof(float)), to(elements * sizeof(float));
  std::ranges::fill(from.As<float>(), 0.5f);
  const double seconds =
      BestSeconds([&] { std::memcpy(to.As<float>().data(), from.As<float>().data(), elements * sizeof(float)); });
  fmt::print("{:<44} {:>8.2f} ms {:>7.1f} GB/s\n", "a copy of as much", 1e3 * seconds,
             2 * static_cast<double>(elements * sizeof(float)) / seconds / 1e9);
}

void Run() {
  const Shape nchw = {32, 64, 56, 56}, nhwc = {32, 56, 56, 64}, tokens = {32, 197, 3, 12, 64};
  const std::vector<int> to_nhwc = {0, 2, 3, 1}, to_nchw = {0, 3, 1, 2}, heads = {2, 0, 3, 1, 4},
                         keys = {0, 2, 3, 4, 1};
  const auto reduce = [](uint32_t axes, ReduceFunction function = ReduceFunction::kMean) {
    return ReduceAttributes{function, axes, false, {}};
  };
  const auto backend = MakeOneDnnBackend({.lane_threads = 1});
  MeasureCopy(static_cast<size_t>(nchw.size()));
  const std::vector<Row> rows = {
      {"[32, 64, 56, 56] NCHW to NHWC", OpKind::kStrided, {nchw}, graph::Transposed(nchw, to_nhwc)},
      {"NHWC to NCHW", OpKind::kStrided, {nhwc}, graph::Transposed(nhwc, to_nchw)},
      {"[32, 197, 3, 12, 64] to heads in front", OpKind::kStrided, {tokens}, graph::Transposed(tokens, heads)},
      {"the same, positions last", OpKind::kStrided, {tokens}, graph::Transposed(tokens, keys)},
      {"every other column", OpKind::kStrided, {nchw}, graph::Sliced(nchw, 3, 0, 2, 28)},
      {"half of the channels", OpKind::kStrided, {nchw}, graph::Sliced(nchw, 1, 32, 1, 32)},
      {"a channel's number over the image", OpKind::kStrided, {{64, 1, 1}}, graph::Expanded({64, 1, 1}, nchw)},
      {"mean over the last", OpKind::kReduce, {{6304, 768}}, reduce(AxisBits({1}))},
      {"mean over height and width, NCHW", OpKind::kReduce, {nchw}, reduce(AxisBits({2, 3}))},
      {"mean over height and width, NHWC", OpKind::kReduce, {nhwc}, reduce(AxisBits({1, 2}))},
      {"sum over rows", OpKind::kReduce, {{6304, 768}}, reduce(AxisBits({0}), ReduceFunction::kSum)},
      {"sum over all but channels, NCHW", OpKind::kReduce, {nchw}, reduce(AxisBits({0, 2, 3}), ReduceFunction::kSum)},
      {"maximum over channels, NCHW", OpKind::kReduce, {nchw}, reduce(AxisBits({1}), ReduceFunction::kMax)},
      {"softmax of [4608, 197]", OpKind::kSoftmax, {{32, 12, 12, 197}}, graph::SoftmaxAttributes{}},
      {"[384, 197, 64] [384, 64, 197]", OpKind::kMatMul, {{384, 197, 64}, {384, 64, 197}}, graph::MatMulAttributes{}},
      {"channels of two, NCHW", OpKind::kConcat, {nchw, nchw}, graph::ConcatAttributes{1}},
  };
  for (const Row& row : rows) Measure(*backend, row);
}

}  // namespace
}  // namespace lockstep

int main() { lockstep::Run(); }
