// Shape inference of layers: convolutions, products, norms, pools, recurrent ones.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "trainer/onnx/fold/einsum.h"
#include "trainer/onnx/fold/fold.h"
#include "trainer/onnx/fold/windows.h"

namespace lockstep::onnx {
namespace {

void Declare(Step& step, Dims dims) { step.outputs.at(0) = Known{step.In(0).type, std::move(dims)}; }

Dims Spatial(const Dims& dims) { return dims.size() < 3 ? Dims() : Dims(dims.begin() + 2, dims.end()); }

Dims Joined(int64_t batch, int64_t channels, const Dims& spatial) {
  Dims dims = {batch, channels};
  dims.insert(dims.end(), spatial.begin(), spatial.end());
  return dims;
}

void InferConv(Step& step) {
  const Dims &x = step.DimsOf(0), &weight = step.DimsOf(1);
  if (weight.size() != x.size() || x.size() < 3 || x[1] != weight[1] * Sensible(step.attributes.Int("group", 1)))
    throw Unsupported(fmt::format("a weight {} for {}", ToString(weight), ToString(x)));
  Declare(step, Joined(x[0], weight[0], WindowsOf(step, Spatial(weight)).output));
}

void InferConvTranspose(Step& step) {
  const Dims &x = step.DimsOf(0), &weight = step.DimsOf(1);
  if (weight.size() != x.size() || x.size() < 3 || x[1] != weight[0])
    throw Unsupported(fmt::format("a weight {} for {}", ToString(weight), ToString(x)));
  Declare(step, Joined(x[0], weight[1] * Sensible(step.attributes.Int("group", 1)),
                       TransposedWindowsOf(step, Spatial(weight)).output));
}

void InferPool(Step& step) {
  const Dims& x = step.DimsOf(0);
  if (x.size() < 3) throw Unsupported(fmt::format("a pool of {}", ToString(x)));
  const Dims dims = Joined(x[0], x[1], WindowsOf(step, step.attributes.Ints("kernel_shape")).output);
  Declare(step, dims);
  if (step.outputs.size() > 1) step.outputs[1] = Known{TensorProto::INT64, dims};
}

void InferGlobalPool(Step& step) {
  const Dims& x = step.DimsOf(0);
  if (x.size() < 3) throw Unsupported(fmt::format("a pool of {}", ToString(x)));
  Declare(step, Joined(x[0], x[1], Dims(x.size() - 2, 1)));
}

void InferGemm(Step& step) {
  const Dims &a = step.DimsOf(0), &b = step.DimsOf(1);
  if (a.size() != 2 || b.size() != 2)
    throw Unsupported(fmt::format("a product of {} and {}", ToString(a), ToString(b)));
  const size_t turn_a = step.attributes.Int("transA", 0) != 0 ? 1 : 0,
               turn_b = step.attributes.Int("transB", 0) != 0 ? 1 : 0;
  if (a[1 - turn_a] != b[turn_b]) throw Unsupported(fmt::format("a product of {} and {}", ToString(a), ToString(b)));
  Declare(step, {a[turn_a], b[1 - turn_b]});
}

void InferMatMul(Step& step) {
  Dims a = step.DimsOf(0), b = step.DimsOf(1);
  if (a.empty() || b.empty()) throw Unsupported("a product with a single number");
  const bool vector_a = a.size() == 1, vector_b = b.size() == 1;
  if (vector_a) a.insert(a.begin(), 1);
  if (vector_b) b.push_back(1);
  if (a.back() != b[b.size() - 2]) throw Unsupported(fmt::format("a product of {} and {}", ToString(a), ToString(b)));
  Dims dims = Broadcast(Dims(a.begin(), a.end() - 2), Dims(b.begin(), b.end() - 2));
  if (!vector_a) dims.push_back(a[a.size() - 2]);
  if (!vector_b) dims.push_back(b.back());
  Declare(step, std::move(dims));
}

void InferNorm(Step& step) { Declare(step, step.DimsOf(0)); }

/// Further results are means and inverses of deviations, with dimensions of 1 where x is normalised.
void InferLayerNorm(Step& step) {
  InferNorm(step);
  Dims dims = step.DimsOf(0);
  for (size_t d = static_cast<size_t>(Axis(step.attributes.Int("axis", -1), step.In(0).rank())); d < dims.size(); ++d)
    dims[d] = 1;
  for (size_t i = 1; i < step.outputs.size(); ++i) step.outputs[i] = Known{TensorProto::FLOAT, dims};
}

/// x [time, batch, c], or [batch, time, c] with layout 1 -> y [time, directions, batch, h] or [batch, time, directions,
/// h]; the last states [directions, batch, h] or [batch, directions, h].
void InferRecurrent(Step& step) {
  const Dims &x = step.DimsOf(0), &recurrence = step.DimsOf(2);
  if (x.size() != 3 || recurrence.size() != 3) throw Unsupported("a recurrent layer of other dimensions");
  const bool batch_first = step.attributes.Int("layout", 0) != 0;
  const int64_t directions = recurrence[0], hidden = recurrence[2];
  const int64_t batch = batch_first ? x[0] : x[1], time = batch_first ? x[1] : x[0];
  const int type = step.In(0).type;
  const Dims state = batch_first ? Dims{batch, directions, hidden} : Dims{directions, batch, hidden};
  for (size_t i = 0; i < step.outputs.size(); ++i) step.outputs[i] = Known{type, state};
  step.outputs.at(0) =
      Known{type, batch_first ? Dims{batch, time, directions, hidden} : Dims{time, directions, batch, hidden}};
}

void InferResize(Step& step) {
  Dims dims = step.DimsOf(0);
  Dims axes = step.attributes.Ints("axes");
  if (axes.empty())
    for (int64_t d = 0; d < step.In(0).rank(); ++d) axes.push_back(d);
  if (step.attributes.String("keep_aspect_ratio_policy", "stretch") != "stretch")
    throw Unsupported("a kept aspect ratio");
  const bool by_size = step.Has(3);
  const Dims sizes = by_size ? step.Ints(3) : Dims();
  const std::vector<double> scales = by_size ? std::vector<double>() : step.Constant(2).values;
  if ((by_size ? sizes.size() : scales.size()) != axes.size())
    throw Unsupported("sizes of other dimensions than there are");
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t& dim = dims[static_cast<size_t>(Axis(axes[i], step.In(0).rank()))];
    dim = by_size ? sizes[i] : ToInt64(std::floor(static_cast<double>(dim) * scales[i]));
  }
  Declare(step, std::move(dims));
}

void InferEinsum(Step& step) {
  std::vector<Dims> shapes;
  for (size_t i = 0; i < step.inputs(); ++i) shapes.push_back(step.DimsOf(i));
  const EinsumTerms terms = ParseEinsum(step.attributes.String("equation", ""), shapes);
  Dims dims;
  for (const int letter : terms.output) dims.push_back(terms.sizes.at(letter));
  Declare(step, std::move(dims));
}

}  // namespace

OpRules LayerRules() {
  return {
      {"AveragePool", {InferPool, nullptr}},
      {"BatchNormalization", {InferNorm, nullptr}},
      {"Conv", {InferConv, nullptr}},
      {"ConvTranspose", {InferConvTranspose, nullptr}},
      {"Einsum", {InferEinsum, nullptr}},
      {"GRU", {InferRecurrent, nullptr}},
      {"Gemm", {InferGemm, nullptr}},
      {"GlobalAveragePool", {InferGlobalPool, nullptr}},
      {"GlobalMaxPool", {InferGlobalPool, nullptr}},
      {"GroupNormalization", {InferNorm, nullptr}},
      {"InstanceNormalization", {InferNorm, nullptr}},
      {"LSTM", {InferRecurrent, nullptr}},
      {"LayerNormalization", {InferLayerNorm, nullptr}},
      {"MatMul", {InferMatMul, nullptr}},
      {"MaxPool", {InferPool, nullptr}},
      {"RMSNormalization", {InferNorm, nullptr}},
      {"Resize", {InferResize, nullptr}},
  };
}

}  // namespace lockstep::onnx
